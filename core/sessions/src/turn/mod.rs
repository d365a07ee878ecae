//! Drives one turn: what the provider produces is stored, then shown; tools that a bare model calls are run, and it is
//! asked again with their results, until it has nothing more to say.

mod budget;
mod ending;
mod recorder;
mod revival;
mod shorten;
mod vitals;

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::SessionError;
use crate::agent::{ToolRun, Toolbox};
use crate::compaction::Room;
use crate::history::History;
use crate::hub::{Running, Update};
use crate::manager::Inner;
use crate::next::Limits;
use crate::provider::{Provider, ProviderError, ToolCall, Turn, TurnOutcome};
use crate::rows::SessionRow;

pub(crate) use recorder::Mark;
use recorder::Recorder;
use vitals::Vitals;

/// Chunks that may wait for the store before the provider does; those that wait are stored together.
const CHUNKS_WAITING: usize = 256;

/// Everything one turn needs.
pub(crate) struct TurnJob {
    pub(crate) sessions: Arc<Inner>,
    pub(crate) row: SessionRow,
    pub(crate) turn: Turn,
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) running: Running,
    pub(crate) history: History,
    pub(crate) redactor: Arc<podium_secrets::Redactor>,
    /// What a bare model may do; `None` where there is nothing to work on.
    pub(crate) tools: Option<Arc<dyn Toolbox>>,
}

/// Runs the turn to its end, whatever that is, and gives the session free.
pub(crate) async fn drive(job: TurnJob) {
    let (sessions, running, id) = (Arc::clone(&job.sessions), job.running.clone(), job.row.info.id.clone());
    let replayed = job.provider.replays() && job.turn.resumed && !job.turn.tokens.is_empty();
    let mut recorder = Recorder::new(&job, replayed);
    recorder.tree.begin(&job.row).await;
    let limits = Limits::read(&job.row.request);
    let TurnJob { turn, provider, running: stop, tools, sessions: inner, .. } = job;
    let vitals = Vitals::new(stop.clone(), inner.silence(provider.name()), !provider.takes_tools());
    let mut steps = Steps {
        sessions: inner,
        turn,
        provider,
        running: stop,
        recorder,
        tools,
        room: Room::default(),
        vitals,
        limits,
        asking: CancellationToken::new(),
        interrupted: false,
    };
    let outcome = steps.run().await;
    if let Some(tools) = &steps.tools {
        tools.close().await;
    }
    let end = steps.recorder.finish(outcome).await;
    sessions.hub.end(&id);
    running.tell(Update::End(end));
}

/// The steps of a turn: one question to the provider each, and the tools it calls.
struct Steps {
    sessions: Arc<Inner>,
    turn: Turn,
    provider: Arc<dyn Provider>,
    running: Running,
    recorder: Recorder,
    tools: Option<Arc<dyn Toolbox>>,
    room: Room,
    vitals: Vitals,
    limits: Limits,
    /// Stops the question that is being answered, and nothing else.
    asking: CancellationToken,
    /// It was stopped for its silence.
    interrupted: bool,
}

impl Steps {
    async fn run(&mut self) -> Result<TurnOutcome, ProviderError> {
        // Calls whose results a crash kept from being stored come first.
        self.run_tools(true).await?;
        for _ in 0..self.sessions.max_steps() {
            self.within_budget().await?;
            self.make_room().await?;
            let outcome = self.ask_within_window().await?;
            if outcome != TurnOutcome::WantsTools {
                return Ok(outcome);
            }
            self.recorder.step_over();
            self.run_tools(false).await?;
            self.turn.messages = self.recorder.history.messages();
            self.turn.resumed = false;
            self.turn.tokens.clear();
        }
        Ok(TurnOutcome::Cut)
    }

    /// One question, and another where the conversation turned out to be too long.
    async fn ask_within_window(&mut self) -> Result<TurnOutcome, ProviderError> {
        let asked = self.asked();
        let outcome = match self.ask().await {
            Err(ProviderError::TooLong { reason }) => {
                // What was said before the refusal is stored and counted, and is a part of the conversation now.
                self.recorder.step_over();
                self.turn.messages = self.recorder.history.messages();
                if !self.shorten_refused().await? {
                    return Err(ProviderError::TooLong { reason });
                }
                self.turn.resumed = false;
                self.turn.tokens.clear();
                return self.ask().await;
            }
            outcome => outcome?,
        };
        self.learn(asked);
        Ok(outcome)
    }

    /// One question to the provider.
    async fn ask_once(&mut self) -> Result<TurnOutcome, ProviderError> {
        let (sender, chunks) = mpsc::channel(CHUNKS_WAITING);
        self.asking = self.running.stop.child_token();
        self.vitals.begin();
        self.recorder.window = self.provider.window(&self.turn).map(|window| window.tokens);
        let answering = tokio::spawn({
            let (provider, turn) = (Arc::clone(&self.provider), self.turn.clone());
            let stop = self.asking.clone();
            async move { provider.answer(turn, sender, stop).await }
        });
        let stored = self.record_all(chunks).await;
        let outcome = answering.await.unwrap_or_else(|_| {
            Err(ProviderError::Failed { reason: "the provider stopped unexpectedly".to_owned() })
        });
        stored?;
        outcome
    }

    /// Runs the calls that have no result yet. Each result is stored before the next call runs.
    async fn run_tools(&mut self, cut_off: bool) -> Result<(), ProviderError> {
        if !self.provider.takes_tools() || self.recorder.history.open_calls.is_empty() {
            return Ok(());
        }
        for call in self.recorder.history.open_calls.clone() {
            if self.running.stop.is_cancelled() {
                return Err(ProviderError::Stopped);
            }
            self.run_tool(call, cut_off).await?;
        }
        self.turn.messages = self.recorder.history.messages();
        Ok(())
    }

    async fn run_tool(&mut self, call: ToolCall, cut_off: bool) -> Result<(), ProviderError> {
        let ran = match self.tools.clone() {
            None => ToolRun::refused(&call, "There are no tools here: the session works in no worktree."),
            Some(tools) => {
                let (sender, chunks) = mpsc::channel(CHUNKS_WAITING);
                self.vitals.runs(Some(&call.name));
                let (call, stop) = (call.clone(), self.running.stop.clone());
                let running = tokio::spawn(async move { tools.run(&call, cut_off, sender, stop).await });
                self.record_all(chunks).await?;
                let ran = running.await;
                self.vitals.runs(None);
                ran.map_err(|_| ProviderError::Failed { reason: "a tool stopped unexpectedly".to_owned() })?
            }
        };
        if self.running.stop.is_cancelled() && ran.stopped {
            return Err(ProviderError::Stopped);
        }
        self.recorder.tool_ran(&call, ran).await.map_err(|error| unstored(&error))
    }
}

fn unstored(error: &SessionError) -> ProviderError {
    ProviderError::Failed { reason: error.to_string() }
}
