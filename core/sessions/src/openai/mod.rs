//! Provider `openai`: any server that speaks `/v1/chat/completions`: OpenAI, Ollama, llama.cpp, vLLM. A stream that is cut
//! goes on by a further question, since such servers agree on no other way.

mod request;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use podium_config::Live;
use podium_protocol::ProviderInfo;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::stream::Said;
use crate::Env;
use crate::http::{self, Clients, Dialect, Event, Request, Step};
use crate::keys::Keys;
use crate::pricing::Price;
use crate::provider::{Chunk, Provider, ProviderError, Revival, Turn, TurnOutcome, Window};

const KEY: &str = "OPENAI_API_KEY";
const BASE: &str = "https://api.openai.com/v1";
/// Of OpenAI's own, where none is named.
const MODEL: &str = "gpt-5-mini";
/// For the list of models.
const LIST: Duration = Duration::from_secs(10);
const LIST_BYTES: usize = 1024 * 1024;
/// Names of a server's models that are shown.
const SHOWN: usize = 20;

/// Servers with OpenAI's interface as a provider.
pub struct OpenAi {
    keys: Keys,
    config: Arc<Live>,
    clients: Clients,
}

/// Where to ask, and with what.
struct Server {
    base: String,
    key: Option<String>,
    client: reqwest::Client,
}

impl Server {
    fn is_openai(&self) -> bool {
        self.base == BASE
    }

    fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers =
            vec![("content-type", "application/json".to_owned()), ("accept", "text/event-stream".to_owned())];
        headers.extend(self.key.iter().map(|key| ("authorization", format!("Bearer {key}"))));
        headers
    }

    /// Names of its models, in its own order.
    async fn models(&self) -> Result<Vec<String>, String> {
        let mut request = self.client.get(format!("{}/models", self.base)).timeout(LIST);
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        let plain = |error: reqwest::Error| error.without_url().to_string();
        let mut response = request.send().await.map_err(plain)?;
        if !response.status().is_success() {
            return Err(format!("its list of models gives HTTP {}", response.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(plain)? {
            body.extend_from_slice(&part);
            if body.len() > LIST_BYTES {
                return Err("its list of models is too long".to_owned());
            }
        }
        let list: Value = serde_json::from_slice(&body).map_err(|_| "its list of models is no JSON")?;
        let names = list["data"].as_array().map_or(&[][..], Vec::as_slice).iter();
        Ok(names.filter_map(|model| model["id"].as_str()).map(str::to_owned).collect())
    }
}

impl OpenAi {
    #[must_use]
    pub fn new(keys: Keys, config: Arc<Live>) -> Self {
        Self { keys, config, clients: Clients::default() }
    }

    async fn server(&self, env: &Env) -> Result<Server, ProviderError> {
        let config = self.config.get();
        let given = env.get("OPENAI_BASE_URL").map(String::as_str).filter(|url| !url.is_empty());
        let base = request::base(given.unwrap_or(match config.text("openai.base_url") {
            "" => BASE,
            url => url,
        }));
        let failed = |reason: String| ProviderError::Failed { reason };
        let client = self.clients.get(env).map_err(failed)?;
        let key = self.keys.find(env, KEY).await.map_err(failed)?;
        let key = key.map(|found| found.secret.expose().to_owned());
        if key.is_none() && base == BASE {
            return Err(ProviderError::Parked { reason: format!("needs_key: {KEY} is not set") });
        }
        Ok(Server { base, key, client })
    }

    async fn model(&self, turn: &Turn, server: &Server) -> Result<String, ProviderError> {
        let config = self.config.get();
        let named = turn.model.clone().or_else(|| Some(config.text("openai.model").to_owned()));
        if let Some(model) = named.filter(|model| !model.is_empty()) {
            return Ok(model);
        }
        if server.is_openai() {
            return Ok(MODEL.to_owned());
        }
        let failed = |why: String| ProviderError::Failed { reason: format!("openai: {why}") };
        let models = server.models().await.map_err(failed)?;
        let first = models.into_iter().next();
        first.ok_or_else(|| failed("the server has no model; name one by --model or openai.model".to_owned()))
    }
}

#[async_trait]
impl Provider for OpenAi {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn takes_tools(&self) -> bool {
        true
    }

    /// A server that chooses its model itself is not asked for it here.
    fn is_priced(&self, turn: &Turn) -> bool {
        let config = self.config.get();
        let model = match turn.model.as_deref().unwrap_or(config.text("openai.model")) {
            "" => MODEL,
            named => named,
        };
        Price::of(&config, model).is_some()
    }

    fn revival(&self) -> Revival {
        Revival::Nudge
    }

    fn window(&self, turn: &Turn) -> Option<Window> {
        let config = self.config.get();
        let number = |key: &str, otherwise| u64::try_from(config.integer(key)).unwrap_or(otherwise);
        let tokens = match number("openai.context_tokens", 0) {
            0 => window_of(turn.model.as_deref().unwrap_or(config.text("openai.model")))?,
            set => set,
        };
        let answer = turn.max_tokens.map_or_else(|| number("openai.max_tokens", 16_000), u64::from);
        Some(Window { tokens, answer })
    }

    async fn info(&self, env: &Env) -> ProviderInfo {
        let shown =
            |usable, why: String, models| ProviderInfo { name: "openai".to_owned(), usable, why, models };
        match self.server(env).await {
            Ok(server) if server.is_openai() => shown(true, format!("uses {KEY}"), vec![MODEL.to_owned()]),
            Ok(server) => match server.models().await {
                Ok(mut models) => {
                    models.truncate(SHOWN);
                    shown(true, "uses the server of OPENAI_BASE_URL or openai.base_url".to_owned(), models)
                }
                Err(why) => shown(false, format!("its server does not answer: {why}"), Vec::new()),
            },
            Err(ProviderError::Parked { .. }) => {
                let why = format!(
                    "set {KEY}, or OPENAI_BASE_URL for a server of your own (Ollama, llama.cpp, vLLM)"
                );
                shown(false, why, Vec::new())
            }
            Err(error) => shown(false, error.to_string(), Vec::new()),
        }
    }

    async fn answer(
        &self,
        turn: Turn,
        out: mpsc::Sender<Chunk>,
        stop: CancellationToken,
    ) -> Result<TurnOutcome, ProviderError> {
        let work = async {
            let server = self.server(&turn.env).await?;
            let model = self.model(&turn, &server).await?;
            let said = Said::priced(Price::of(&self.config.get(), &model));
            let mut chat = Chat { provider: self, turn: &turn, server, model, said };
            http::answer(&mut chat, &out, &turn.link).await
        };
        tokio::select! {
            outcome = work => outcome,
            () = stop.cancelled() => Err(ProviderError::Stopped),
        }
    }
}

/// Tokens that models of OpenAI's own take. A server of one's own says only by refusing.
fn window_of(model: &str) -> Option<u64> {
    const WINDOWS: &[(&str, u64)] =
        &[("gpt-5", 400_000), ("gpt-4.1", 1_000_000), ("gpt-4o", 128_000), ("o3", 200_000), ("o4", 200_000)];
    WINDOWS.iter().find(|(name, _)| model.starts_with(name)).map(|(_, tokens)| *tokens)
}

struct Chat<'a> {
    provider: &'a OpenAi,
    turn: &'a Turn,
    server: Server,
    model: String,
    said: Said,
}

#[async_trait]
impl Dialect for Chat<'_> {
    fn name(&self) -> &'static str {
        "openai"
    }

    async fn request(&self) -> Result<Request, ProviderError> {
        let config = self.provider.config.get();
        let number = |key: &str, otherwise| u64::try_from(config.integer(key)).unwrap_or(otherwise);
        let ask = request::Ask {
            model: &self.model,
            turn: self.turn,
            said: self.said.text(),
            max_tokens: self.turn.max_tokens.map_or_else(|| number("openai.max_tokens", 16_000), u64::from),
            is_openai: self.server.is_openai(),
        };
        Ok(Request {
            client: self.server.client.clone(),
            url: format!("{}/chat/completions", self.server.base),
            headers: self.server.headers(),
            body: request::body(&ask).to_string(),
            stall: Duration::from_secs(number("sessions.stall_seconds", 120)),
        })
    }

    fn begin(&mut self) {
        self.said.begin();
    }

    fn event(&mut self, event: &Event) -> Result<(Vec<Chunk>, Option<Step>), ProviderError> {
        self.said.event(event)
    }

    fn at_end(&mut self) -> (Vec<Chunk>, Option<Step>) {
        self.said.at_end()
    }

    fn progress(&self) -> usize {
        self.said.progress()
    }
}
