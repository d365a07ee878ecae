//! Provider `anthropic`: the Messages API, streamed. A stream that is cut goes on behind what was said, by an assistant
//! prefix where the model takes one and by a further question where it does not.

mod models;
mod request;
mod stream;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use podium_config::Live;
use podium_protocol::{ProviderInfo, SessionProgress};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::request::Continuation;
use self::stream::{Said, Step};
use crate::Env;
use crate::http::{Backoff, Clients, EventStream, Fault, Request};
use crate::keys::Keys;
use crate::provider::{Chunk, Provider, ProviderError, Turn, TurnOutcome};

const KEY: &str = "ANTHROPIC_API_KEY";
const BASE: &str = "https://api.anthropic.com";
const VERSION: &str = "2023-06-01";
/// Streams of one answer that may be cut without a word in between.
const CUTS: u32 = 4;

/// The Messages API as a provider.
pub struct Anthropic {
    keys: Keys,
    config: Arc<Live>,
    clients: Clients,
    /// Models that were seen to refuse an assistant prefix.
    no_prefix: Mutex<Vec<String>>,
}

impl Anthropic {
    #[must_use]
    pub fn new(keys: Keys, config: Arc<Live>) -> Self {
        Self { keys, config, clients: Clients::default(), no_prefix: Mutex::default() }
    }

    fn model(&self, turn: &Turn) -> String {
        turn.model.clone().unwrap_or_else(|| self.config.get().text("anthropic.model").to_owned())
    }

    fn integer(&self, key: &str, otherwise: u64) -> u64 {
        u64::try_from(self.config.get().integer(key)).unwrap_or(otherwise)
    }
}

#[async_trait]
impl Provider for Anthropic {
    fn name(&self) -> &'static str {
        "anthropic"
    }

    fn aliases(&self) -> &'static [&'static str] {
        &["claude"]
    }

    fn takes_tools(&self) -> bool {
        true
    }

    async fn info(&self, env: &Env) -> ProviderInfo {
        let (usable, why) = match self.keys.find(env, KEY).await {
            Ok(Some(found)) => (true, format!("uses {KEY} {}", found.source)),
            Ok(None) => (false, format!("set {KEY}, or put it into secrets.toml of Podium's home")),
            Err(why) => (false, why),
        };
        ProviderInfo { name: self.name().to_owned(), usable, why, models: models::names() }
    }

    async fn answer(
        &self,
        turn: Turn,
        out: mpsc::Sender<Chunk>,
        stop: CancellationToken,
    ) -> Result<TurnOutcome, ProviderError> {
        let mut answer = Answer::new(self, &turn, &out);
        tokio::select! {
            outcome = answer.run() => outcome,
            () = stop.cancelled() => Err(ProviderError::Stopped),
        }
    }
}

/// One answer, over as many streams as it takes.
struct Answer<'a> {
    provider: &'a Anthropic,
    turn: &'a Turn,
    out: &'a mpsc::Sender<Chunk>,
    model: String,
    said: Said,
}

impl<'a> Answer<'a> {
    fn new(provider: &'a Anthropic, turn: &'a Turn, out: &'a mpsc::Sender<Chunk>) -> Self {
        let model = provider.model(turn);
        let said = Said::new(&turn.messages, models::prices(&model));
        Self { provider, turn, out, model, said }
    }

    async fn run(&mut self) -> Result<TurnOutcome, ProviderError> {
        let (mut backoff, mut cuts) = (Backoff::default(), 0);
        loop {
            let before = self.said.progress();
            let mut stream = match EventStream::open(self.request().await?).await {
                Ok(stream) => stream,
                Err(fault) => {
                    self.after(fault, &mut backoff).await?;
                    continue;
                }
            };
            match self.read(&mut stream).await? {
                Step::Done(outcome) => return Ok(outcome),
                Step::Again => {}
                Step::Cut(why) => {
                    cuts = if self.said.progress() > before { 0 } else { cuts + 1 };
                    if cuts >= CUTS {
                        return Err(ProviderError::Failed { reason: why });
                    }
                    if self.said.progress() > before {
                        backoff.progressed();
                    }
                    self.after(Fault::Unreachable(why), &mut backoff).await?;
                }
            }
        }
    }

    async fn read(&mut self, stream: &mut EventStream) -> Result<Step, ProviderError> {
        self.said.begin();
        loop {
            let event = match stream.next().await {
                Ok(event) => event,
                // What is complete stands: tools that were called can run.
                Err(_) if self.said.has_calls() => return Ok(Step::Done(TurnOutcome::WantsTools)),
                Err(cut) => return Ok(Step::Cut(cut.reason())),
            };
            let (chunks, step) = self.said.event(&event)?;
            for chunk in chunks {
                // The reader is gone only when the turn is being ended.
                self.out.send(chunk).await.map_err(|_| ProviderError::Stopped)?;
            }
            if let Some(step) = step {
                return Ok(step);
            }
        }
    }

    async fn request(&self) -> Result<Request, ProviderError> {
        let key = self.provider.keys.need(&self.turn.env, KEY).await?;
        let base = self.turn.env.get("ANTHROPIC_BASE_URL").map(String::as_str).filter(|url| !url.is_empty());
        let config = self.provider.config.get();
        let base = base.unwrap_or(match config.text("anthropic.base_url") {
            "" => BASE,
            url => url,
        });
        let failed = |reason: String| ProviderError::Failed { reason };
        let client = self.provider.clients.get(&self.turn.env).map_err(failed)?;
        let body = request::body(&request::Ask {
            model: &self.model,
            turn: self.turn,
            said: self.said.text(),
            continuation: self.continuation(),
            max_tokens: self
                .turn
                .max_tokens
                .map_or_else(|| self.provider.integer("anthropic.max_tokens", 16_000), u64::from),
            thinking: self.provider.integer("anthropic.thinking_tokens", 0),
        });
        Ok(Request {
            client,
            url: format!("{}/v1/messages", base.trim_end_matches('/')),
            headers: vec![
                ("x-api-key", key.expose().to_owned()),
                ("anthropic-version", VERSION.to_owned()),
                ("content-type", "application/json".to_owned()),
                ("accept", "text/event-stream".to_owned()),
            ],
            body: body.to_string(),
            stall: Duration::from_secs(self.provider.integer("sessions.stall_seconds", 120)),
        })
    }

    fn continuation(&self) -> Continuation {
        let refused = self.provider.no_prefix.lock().unwrap_or_else(PoisonError::into_inner);
        let thinks = self.provider.integer("anthropic.thinking_tokens", 0) > 0;
        if thinks || models::refuses_prefix(&self.model) || refused.contains(&self.model) {
            Continuation::Question
        } else {
            Continuation::Prefix
        }
    }

    /// Waits before the next attempt, or says why there is none.
    async fn after(&self, fault: Fault, backoff: &mut Backoff) -> Result<(), ProviderError> {
        if let Fault::Refused(refusal) = &fault {
            if refusal.status == 400
                && self.continuation() == Continuation::Prefix
                && refusal.message().contains("prefill")
            {
                let mut refused = self.provider.no_prefix.lock().unwrap_or_else(PoisonError::into_inner);
                refused.push(self.model.clone());
                return Ok(());
            }
            if matches!(refusal.status, 401 | 403) {
                let reason = format!("needs_key: the key was refused: {}", refusal.message());
                return Err(ProviderError::Parked { reason });
            }
        }
        let Some(wait) = backoff.after(&fault) else {
            return Err(ProviderError::Failed { reason: format!("anthropic: {}", fault.reason()) });
        };
        tracing::info!(wait_ms = wait.as_millis(), reason = fault.reason(), "asking again");
        let seconds = wait.as_secs();
        let waiting = SessionProgress { phase: "waiting".to_owned(), done: 0, total: seconds };
        let _ = self.out.send(Chunk::Progress(waiting)).await;
        tokio::time::sleep(wait).await;
        Ok(())
    }
}
