//! Provider `command`: any program that answers on its standard output, in text or in lines of JSON.

mod json;
mod prompt;
mod reader;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use podium_config::Live;
use podium_process::runner::{AgentEnd, EndCause, RunnerError};
use podium_protocol::ProviderInfo;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::reader::Reader;
use crate::Env;
use crate::child::{
    Agent, AgentHost, Death, Follow, Format, Landing, Memory, Next, Room, Stopping, agents, choose, failed,
    last_words, send, settled,
};
use crate::provider::{Chunk, Provider, ProviderError, StopCause, Turn, TurnOutcome};

/// How long a turn's end waits for commits to come over, and one that was cancelled.
const BRINGING: Duration = Duration::from_secs(120);
const BRINGING_LATE: Duration = Duration::from_millis(400);

/// Programs of the configuration as providers; the model's name chooses among them.
pub struct Program {
    host: Arc<AgentHost>,
    config: Arc<Live>,
}

impl Program {
    #[must_use]
    pub fn new(host: Arc<AgentHost>, config: Arc<Live>) -> Self {
        Self { host, config }
    }
}

fn fits(format: Format) -> bool {
    matches!(format, Format::Text | Format::Json)
}

#[async_trait]
impl Provider for Program {
    fn name(&self) -> &'static str {
        "command"
    }

    async fn info(&self, _env: &Env) -> ProviderInfo {
        let config = self.config.get();
        let known: Vec<Agent> = agents(&config).into_iter().filter(|agent| fits(agent.format)).collect();
        let why = match choose(&config, None, fits) {
            Ok(_) => format!("configured: {}", known.iter().map(Agent::shown).collect::<Vec<_>>().join(", ")),
            Err(why) => why,
        };
        let models: Vec<String> = known.into_iter().map(|agent| agent.name).collect();
        ProviderInfo { name: self.name().to_owned(), usable: !models.is_empty(), why, models }
    }

    async fn abandon(&self, session: &str) {
        self.host.clear(session).await;
    }

    async fn answer(
        &self,
        turn: Turn,
        out: mpsc::Sender<Chunk>,
        stop: CancellationToken,
    ) -> Result<TurnOutcome, ProviderError> {
        let agent = choose(&self.config.get(), turn.model.as_deref(), fits)
            .map_err(|reason| ProviderError::Parked { reason })?;
        Answer { host: &self.host, agent: &agent, turn: &turn, out: &out, stop: &stop }.run().await
    }
}

struct Answer<'a> {
    host: &'a AgentHost,
    agent: &'a Agent,
    turn: &'a Turn,
    out: &'a mpsc::Sender<Chunk>,
    stop: &'a CancellationToken,
}

impl Answer<'_> {
    async fn run(&self) -> Result<TurnOutcome, ProviderError> {
        let mut memory = match self.begun() {
            Some(memory) => memory,
            None => {
                let memory = Memory::new(Reader::of(self.agent.format));
                self.store(&memory, Vec::new()).await?;
                memory
            }
        };
        loop {
            let end = match memory.end.clone() {
                Some(end) => end,
                None => self.attempt(&mut memory).await?,
            };
            if let Some(outcome) = self.judge(&end, &memory).await {
                return outcome;
            }
            self.bury(&end, &mut memory).await?;
        }
    }

    /// What is stored of this turn; a run that failed is not gone on with.
    fn begun(&self) -> Option<Memory<Reader>> {
        let begun = Memory::<Reader>::read(self.turn.state.as_deref()).filter(|_| self.turn.resumed)?;
        begun.end.as_ref().is_none_or(AgentEnd::success).then_some(begun)
    }

    /// Stores, and waits for it: a run that nobody knows of would be followed by a second one.
    async fn store(&self, memory: &Memory<Reader>, mut chunks: Vec<Chunk>) -> Result<(), ProviderError> {
        let state = memory.state();
        chunks.extend([Chunk::Flush, Chunk::State(state.clone())]);
        send(self.out, chunks).await?;
        if settled(&self.turn.link, &state).await {
            return Ok(());
        }
        Err(ProviderError::Failed { reason: "what the agent said could not be stored".to_owned() })
    }

    /// Follows one run to its end.
    async fn attempt(&self, memory: &mut Memory<Reader>) -> Result<AgentEnd, ProviderError> {
        let room = self.host.room(self.turn, self.agent, &memory.run, self.stop).await?;
        if let Some((text, data)) = room.told.clone() {
            self.store(memory, vec![Chunk::Permission { text, data }]).await?;
        }
        let asked = prompt::of(self.agent, self.turn);
        let place = (memory.run.as_str(), memory.offset);
        let follow = Follow::open(self.host, (self.turn, &room), &asked.argv, place, self.stop).await;
        let mut follow = match follow {
            Ok(follow) => follow,
            // Its files are gone, and so is it.
            Err(RunnerError::NoSuchRun { .. }) => {
                let left = self.land(Landing::of(&room), memory, BRINGING).await;
                self.store(memory, left.into_iter().collect()).await?;
                return Ok(gone());
            }
            Err(error) => return Err(self.unstarted(&error)),
        };
        let mut landing = Landing::of(&room);
        if let Some(text) = asked.stdin {
            follow.controls().write(1, text).await;
        }
        follow.controls().close_input(2).await;
        let mut rest = Vec::new();
        loop {
            match follow.next().await? {
                Next::Output(bytes) => {
                    rest.extend(bytes);
                    self.take(memory, &mut rest).await?;
                    landing.stir();
                }
                Next::Ended(mut end) => {
                    end.stderr = self.redacted(last_words(&end.stderr)).await;
                    let left = self.land(landing, memory, BRINGING).await;
                    let (used, mut chunks) = memory.reader.read(&rest, true);
                    chunks.extend(left);
                    memory.offset += used as u64;
                    explain(&mut end, &room);
                    memory.end = Some(end.clone());
                    self.store(memory, chunks).await?;
                    follow.close().await;
                    return Ok(end);
                }
                Next::Stop(Stopping::Leave) => return Err(ProviderError::Stopped),
                Next::Stop(Stopping::End) => {
                    follow.cancel().await;
                    let left = self.land(landing, memory, BRINGING_LATE).await;
                    self.stopped(memory, left).await?;
                    return Err(ProviderError::Stopped);
                }
            }
        }
    }

    /// The agent is dead, and its end not stored yet: a crash in between has it done again. It is told once what stays.
    async fn land(&self, landing: Landing, memory: &mut Memory<Reader>, patience: Duration) -> Option<Chunk> {
        let why = landing.finish(patience).await?;
        let first = !std::mem::replace(&mut memory.told_left, true);
        let text = || format!("\n\n[{}]\n\n", self.turn.redactor.redact(&why));
        first.then(|| Chunk::Text { text: text(), tokens: Vec::new() })
    }

    /// Who goes on with the turn begins a new run.
    async fn stopped(&self, memory: &mut Memory<Reader>, left: Option<Chunk>) -> Result<(), ProviderError> {
        let spoke = memory.offset > 0;
        memory.again();
        memory.reader = Reader::of(self.agent.format);
        let cancelled = self.turn.link.cause() == Some(StopCause::Cancelled);
        let mark = (spoke && !cancelled).then(|| self.mark("was stopped"));
        self.store(memory, mark.into_iter().chain(left).collect()).await
    }

    fn mark(&self, what: &str) -> Chunk {
        let text = format!("\n\n[{} {what} here; the answer is cut off.]\n\n", self.agent.name);
        Chunk::Text { text, tokens: Vec::new() }
    }

    /// What can be understood becomes items, together with how far that was.
    async fn take(&self, memory: &mut Memory<Reader>, rest: &mut Vec<u8>) -> Result<(), ProviderError> {
        let (used, mut chunks) = memory.reader.read(rest, false);
        if used == 0 {
            return Ok(());
        }
        rest.drain(..used);
        memory.offset += used as u64;
        chunks.push(Chunk::State(memory.state()));
        send(self.out, chunks).await
    }

    /// How the turn ended; `None` for an agent that died.
    async fn judge(
        &self,
        end: &AgentEnd,
        memory: &Memory<Reader>,
    ) -> Option<Result<TurnOutcome, ProviderError>> {
        if let Some(error) = memory.reader.error() {
            let reason = self.redacted(format!("{}: {error}", self.agent.name)).await;
            return Some(Err(ProviderError::Failed { reason }));
        }
        match (end.cause, end.code) {
            (EndCause::Asked, _) => Some(Err(ProviderError::Stopped)),
            (EndCause::Itself, Some(0)) => Some(Ok(TurnOutcome::Complete)),
            (EndCause::Abandoned, _) => {
                let reason = format!("{} {end}", self.agent.name);
                Some(Err(ProviderError::Parked { reason }))
            }
            (EndCause::Itself, Some(_)) => {
                let reason = format!("{} failed ({end}): {}", self.agent.name, end.stderr);
                Some(Err(ProviderError::Failed { reason }))
            }
            (EndCause::Itself | EndCause::RunnerDied, _) => None,
        }
    }

    /// An agent that died before it said anything is started again, a few times. What one had said stays and is marked;
    /// only a person can tell whether it may all be done again.
    async fn bury(&self, end: &AgentEnd, memory: &mut Memory<Reader>) -> Result<(), ProviderError> {
        let spoke = memory.offset > 0;
        let death = memory.died();
        memory.reader = Reader::of(self.agent.format);
        let mark = spoke.then(|| self.mark(&end.to_string()));
        self.store(memory, mark.into_iter().collect()).await?;
        let (name, words) = (&self.agent.name, &end.stderr);
        let reason = match (spoke, death) {
            (true, _) => format!("{name} {end} in the middle of its answer; resume runs it again. {words}"),
            (false, Death::TooMany) => format!("{name} {end} four times within a minute. {words}"),
            (false, Death::Restart) => return Ok(()),
        };
        Err(ProviderError::Parked { reason: reason.trim().to_owned() })
    }

    fn unstarted(&self, error: &RunnerError) -> ProviderError {
        match error {
            // Something to install or to mend first.
            RunnerError::Agent { reason } => {
                ProviderError::Parked { reason: format!("{} cannot be started: {reason}", self.agent.name) }
            }
            error => failed(error),
        }
    }

    /// An agent may write keys to its errors.
    async fn redacted(&self, text: String) -> String {
        let redactor = Arc::clone(&self.turn.redactor);
        tokio::task::spawn_blocking(move || redactor.redact(&text)).await.unwrap_or_default()
    }
}

/// What a sandbox makes of an end. It tells of a signal as shells do, by 128 and its number; and what fails for want of
/// a network does not say so itself.
fn explain(end: &mut AgentEnd, room: &Room) {
    let Some(lodging) = room.lodging.as_ref().filter(|lodging| lodging.approval.is_none()) else { return };
    if let Some(signal) = end.code.map(|code| code - 128).filter(|signal| (1..=64).contains(signal)) {
        (end.code, end.signal) = (None, Some(signal));
    }
    if !lodging.policy.network && end.cause == EndCause::Itself && end.code.is_some_and(|code| code != 0) {
        end.stderr +=
            "\n(It has no network: the word `network` in its entry of sessions.agents gives it one.)";
    }
}

fn gone() -> AgentEnd {
    AgentEnd { code: None, signal: None, cause: EndCause::RunnerDied, stderr: String::new() }
}
