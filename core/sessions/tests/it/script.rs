//! A provider that says one word after another and can be held at any of them. Its state is the prompt, its tokens
//! are the numbers of the words: enough to go on exactly where the stored tokens end.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use podium_protocol::{ProviderInfo, Usage};
use podium_sessions::{Bounds, Chunk, Env, Provider, ProviderError, Turn, TurnOutcome};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub(crate) struct Script {
    pub(crate) words: Vec<String>,
    /// Waits for its stop behind this many words.
    pub(crate) hold_at: Option<usize>,
    pub(crate) usable: bool,
    pub(crate) fail_at: Option<usize>,
    /// The bounds of every turn it was asked for.
    pub(crate) asked: Arc<Mutex<Vec<Bounds>>>,
}

impl Script {
    pub(crate) fn of(text: &str) -> Self {
        let words = text.split_inclusive(' ').map(str::to_owned).collect();
        Self { words, hold_at: None, usable: true, fail_at: None, asked: Arc::default() }
    }

    pub(crate) fn holding_at(text: &str, at: usize) -> Self {
        Self { hold_at: Some(at), ..Self::of(text) }
    }
}

#[async_trait]
impl Provider for Script {
    fn name(&self) -> &'static str {
        "script"
    }

    async fn info(&self, _env: &Env) -> ProviderInfo {
        ProviderInfo { name: "script".into(), usable: self.usable, why: "as told".into(), models: vec![] }
    }

    fn replays(&self) -> bool {
        true
    }

    fn known_models(&self) -> Option<Vec<&'static str>> {
        Some(vec!["tale", "poem"])
    }

    async fn answer(
        &self,
        turn: Turn,
        out: mpsc::Sender<Chunk>,
        stop: CancellationToken,
    ) -> Result<TurnOutcome, ProviderError> {
        let bounds =
            Bounds { seed: Some(turn.seed), max_tokens: turn.max_tokens, temperature: turn.temperature };
        self.asked.lock().unwrap().push(bounds);
        let gone = |_| ProviderError::Stopped;
        let mut at = 0;
        if turn.resumed && !turn.tokens.is_empty() {
            assert_eq!(turn.state.as_deref(), Some(b"state".as_slice()));
            at = turn.tokens.last().map_or(0, |t| *t as usize + 1);
            out.send(Chunk::Replay(self.words[..at].concat())).await.map_err(gone)?;
        } else {
            out.send(Chunk::State(b"state".to_vec())).await.map_err(gone)?;
        }
        for (n, word) in self.words.iter().enumerate().skip(at) {
            if self.hold_at == Some(n) {
                stop.cancelled().await;
            }
            if stop.is_cancelled() {
                return Err(ProviderError::Stopped);
            }
            if self.fail_at == Some(n) {
                return Err(ProviderError::Failed { reason: "out of words".into() });
            }
            let tokens = vec![u32::try_from(n).unwrap()];
            out.send(Chunk::Text { text: word.clone(), tokens }).await.map_err(gone)?;
        }
        let usage = Usage { input_tokens: 3, output_tokens: self.words.len() as u64, cost_usd: Some(0.0) };
        out.send(Chunk::Usage(usage)).await.map_err(gone)?;
        Ok(TurnOutcome::Complete)
    }
}
