//! Provider `anthropic`: the Messages API, streamed. A stream that is cut goes on behind what was said, by an assistant
//! prefix where the model takes one and by a further question where it does not.

mod models;
mod request;
mod stream;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use podium_config::Live;
use podium_protocol::ProviderInfo;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::request::Continuation;
use self::stream::Said;
use crate::Env;
use crate::http::{self, Clients, Dialect, Event, Refusal, Request, Step};
use crate::keys::Keys;
use crate::pricing::Price;
use crate::provider::{Chunk, Provider, ProviderError, Revival, Turn, TurnOutcome, Window};

const KEY: &str = "ANTHROPIC_API_KEY";
const BASE: &str = "https://api.anthropic.com";
const VERSION: &str = "2023-06-01";

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

    fn is_priced(&self, turn: &Turn) -> bool {
        Price::of(&self.config.get(), &self.model(turn)).is_some()
    }

    fn revival(&self) -> Revival {
        Revival::Nudge
    }

    fn window(&self, turn: &Turn) -> Option<Window> {
        let tokens = match self.integer("anthropic.context_tokens", 0) {
            0 => models::WINDOW,
            set => set,
        };
        let bound = || self.integer("anthropic.max_tokens", 16_000);
        Some(Window { tokens, answer: turn.max_tokens.map_or_else(bound, u64::from) })
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
        let model = self.model(&turn);
        let said = Said::new(&turn.messages, Price::of(&self.config.get(), &model));
        let link = turn.link.clone();
        let mut conversation = Conversation { provider: self, turn: &turn, model, said };
        tokio::select! {
            outcome = http::answer(&mut conversation, &out, &link) => outcome,
            () = stop.cancelled() => Err(ProviderError::Stopped),
        }
    }
}

struct Conversation<'a> {
    provider: &'a Anthropic,
    turn: &'a Turn,
    model: String,
    said: Said,
}

impl Conversation<'_> {
    fn continuation(&self) -> Continuation {
        let refused = self.provider.no_prefix.lock().unwrap_or_else(PoisonError::into_inner);
        let thinks = self.provider.integer("anthropic.thinking_tokens", 0) > 0;
        if thinks || models::refuses_prefix(&self.model) || refused.contains(&self.model) {
            Continuation::Question
        } else {
            Continuation::Prefix
        }
    }

    fn url(&self) -> String {
        let config = self.provider.config.get();
        let given = self.turn.env.get("ANTHROPIC_BASE_URL").map(String::as_str);
        let base = given.filter(|url| !url.is_empty()).unwrap_or(match config.text("anthropic.base_url") {
            "" => BASE,
            url => url,
        });
        format!("{}/v1/messages", base.trim_end_matches('/'))
    }
}

#[async_trait]
impl Dialect for Conversation<'_> {
    fn name(&self) -> &'static str {
        "anthropic"
    }

    async fn request(&self) -> Result<Request, ProviderError> {
        let key = self.provider.keys.need(&self.turn.env, KEY).await?;
        let client = self.provider.clients.get(&self.turn.env);
        let bound = || self.provider.integer("anthropic.max_tokens", 16_000);
        let body = request::body(&request::Ask {
            model: &self.model,
            turn: self.turn,
            said: self.said.text(),
            continuation: self.continuation(),
            max_tokens: self.turn.max_tokens.map_or_else(bound, u64::from),
            thinking: self.provider.integer("anthropic.thinking_tokens", 0),
        });
        Ok(Request {
            client: client.map_err(|reason| ProviderError::Failed { reason })?,
            url: self.url(),
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

    fn begin(&mut self) {
        self.said.begin();
    }

    fn event(&mut self, event: &Event) -> Result<(Vec<Chunk>, Option<Step>), ProviderError> {
        self.said.event(event)
    }

    fn at_end(&mut self) -> (Vec<Chunk>, Option<Step>) {
        (Vec::new(), self.said.at_end())
    }

    fn progress(&self) -> usize {
        self.said.progress()
    }

    /// A model that takes no prefix is asked to go on instead, now and later.
    fn adapts_to(&mut self, refusal: &Refusal) -> bool {
        let adapts = refusal.status == 400
            && self.continuation() == Continuation::Prefix
            && refusal.message().contains("prefill");
        if adapts {
            let mut refused = self.provider.no_prefix.lock().unwrap_or_else(PoisonError::into_inner);
            refused.push(self.model.clone());
        }
        adapts
    }
}
