//! Before a question would be longer than the model takes, the conversation is shortened; and once after it was refused.

use tokio::sync::mpsc;

use super::{CHUNKS_WAITING, Steps, unstored};
use crate::compaction::{Compaction, ask_for_summary, question, said, without_model};
use crate::hub::{TurnLink, Update};
use crate::provider::{Chunk, ProviderError, Turn};

/// Tokens of a summary.
const SUMMARY: u32 = 800;

impl Steps {
    /// Makes the next question fit where it is known what fits.
    pub(super) async fn make_room(&mut self) -> Result<(), ProviderError> {
        let replays = self.provider.replays() && self.turn.resumed && !self.turn.tokens.is_empty();
        let window = self.provider.window(&self.turn);
        match self.room.for_messages(&self.turn, window) {
            // What is read on is the state that is stored, not the conversation.
            Some(bytes) if !replays => self.shorten_to(bytes).await,
            _ => Ok(()),
        }
    }

    /// The server refused the question, whatever was estimated: half of what it had is told.
    pub(super) async fn shorten_refused(&mut self) -> Result<bool, ProviderError> {
        let before = said(&self.turn.messages);
        self.shorten_to(before / 2).await?;
        Ok(said(&self.turn.messages) < before)
    }

    /// Results of tools go first, then what is older, and at last the newest results.
    async fn shorten_to(&mut self, bytes: usize) -> Result<(), ProviderError> {
        if said(&self.turn.messages) <= bytes {
            return Ok(());
        }
        self.leave_out(Compaction::OLDER_RESULTS, String::new()).await?;
        if said(&self.turn.messages) > bytes
            && let Some(older) = Compaction::older(&self.turn.messages, bytes / 2)
        {
            let summary = self.sum_up(&older, bytes).await?;
            self.leave_out(older, summary).await?;
        }
        if said(&self.turn.messages) > bytes {
            self.leave_out(Compaction::ALL_RESULTS, String::new()).await?;
        }
        Ok(())
    }

    /// Stored before it is used.
    async fn leave_out(&mut self, compaction: Compaction, summary: String) -> Result<(), ProviderError> {
        if !compaction.shortens(&self.turn.messages) {
            return Ok(());
        }
        let chunk = Chunk::Compaction { summary, data: compaction.data() };
        self.recorder.record(vec![chunk]).await.map_err(|error| unstored(&error))?;
        self.turn.messages = self.recorder.history.messages();
        Ok(())
    }

    /// The same model's summary of what goes; where it gives none, what was asked for.
    async fn sum_up(&mut self, older: &Compaction, bytes: usize) -> Result<String, ProviderError> {
        let Compaction::Older { kept } = older else { return Ok(String::new()) };
        let goes = self.turn.messages[..self.turn.messages.len() - kept].to_vec();
        let turn = Turn {
            messages: vec![ask_for_summary(&goes, bytes / 2)],
            tools: Vec::new(),
            state: None,
            tokens: Vec::new(),
            resumed: false,
            max_tokens: Some(SUMMARY),
            link: TurnLink::default(),
            ..self.turn.clone()
        };
        match self.aside(turn).await {
            Ok(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
            Err(ProviderError::Stopped) => Err(ProviderError::Stopped),
            _ => Ok(without_model(&goes)),
        }
    }

    /// A question beside the conversation: its text, which is not told to anybody.
    async fn aside(&mut self, turn: Turn) -> Result<String, ProviderError> {
        let (sender, mut chunks) = mpsc::channel(CHUNKS_WAITING);
        let (provider, stop) = (std::sync::Arc::clone(&self.provider), self.running.stop.clone());
        let answering = tokio::spawn(async move { provider.answer(turn, sender, stop).await });
        let mut text = String::new();
        while let Some(chunk) = chunks.recv().await {
            match chunk {
                Chunk::Text { text: said, .. } => text.push_str(&said),
                Chunk::Usage(usage) => self.recorder.used_aside(usage),
                Chunk::Progress(progress) => self.running.tell(Update::Progress(progress)),
                _ => {}
            }
        }
        self.recorder.step_over();
        let ended = answering.await;
        ended.map_err(|_| ProviderError::Failed {
            reason: "the provider stopped unexpectedly".to_owned(),
        })??;
        Ok(text)
    }

    /// What the provider counted tells how many tokens a byte is.
    pub(super) fn learn(&mut self, asked: usize) {
        self.room.learn(asked, self.recorder.counted());
    }

    pub(super) fn asked(&self) -> usize {
        question(&self.turn)
    }
}
