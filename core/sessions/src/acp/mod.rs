//! Provider `acp`: agents that speak the Agent Client Protocol on their standard streams.

mod asks;
mod schema;
mod serve;
mod talk;
mod terminals;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use podium_config::Live;
use podium_process::runner::{AgentEnd, EndCause, RunnerError};
use podium_protocol::ProviderInfo;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use self::asks::Gate;
use self::serve::{Served, Server};
use self::talk::{End, Talk, Topic};
use crate::Env;
use crate::child::{
    Agent, AgentHost, Death, Follow, Format, Landing, Memory, Next, Stopping, agents, choose, failed, home,
    last_words, prompt, send, settled, with_history,
};
use crate::provider::{Chunk, Provider, ProviderError, Turn, TurnOutcome};

/// How long an agent may take to be ready; some download themselves first.
const OPENING: Duration = Duration::from_secs(120);
/// How long one that is told to cancel, or has nothing more to do, may take to end.
const ENDING: Duration = Duration::from_millis(700);
const LONGEST_LINE: usize = 32 << 20;
/// How long a turn's end waits for commits to come over, and one that was cancelled.
const BRINGING: Duration = Duration::from_secs(120);
const BRINGING_LATE: Duration = Duration::from_millis(300);

/// Agents of the configuration; the model's name chooses among them.
pub struct Acp {
    host: Arc<AgentHost>,
    config: Arc<Live>,
    gate: Gate,
}

impl Acp {
    #[must_use]
    pub fn new(host: Arc<AgentHost>, config: Arc<Live>, gate: Gate) -> Self {
        Self { host, config, gate }
    }
}

fn fits(format: Format) -> bool {
    format == Format::Acp
}

#[async_trait]
impl Provider for Acp {
    fn name(&self) -> &'static str {
        "acp"
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

    fn forgets(&self) -> Option<&'static str> {
        Some(
            "the agent keeps its own memory, which cannot be taken along or back: it begins anew and is told the transcript",
        )
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
        let (prompt, with_history) = (prompt(&turn), with_history(&turn));
        let answer = Answer {
            host: &self.host,
            gate: &self.gate,
            agent: &agent,
            turn: &turn,
            out: &out,
            stop: &stop,
            words: (&prompt, &with_history),
        };
        answer.run().await
    }
}

struct Answer<'a> {
    host: &'a AgentHost,
    gate: &'a Gate,
    agent: &'a Agent,
    turn: &'a Turn,
    out: &'a mpsc::Sender<Chunk>,
    stop: &'a CancellationToken,
    /// For an agent that knows the conversation, and for one that does not.
    words: (&'a str, &'a str),
}

/// One run of the agent as far as this process follows it.
struct Attempt {
    follow: Follow,
    server: Arc<Server>,
    landing: Landing,
    /// Where the agent sees itself.
    cwd: PathBuf,
    /// Bytes of a line whose end is still to come.
    rest: Vec<u8>,
    /// Number of the last line that was written.
    sent: u64,
    serving: JoinSet<Served>,
    /// The conversation is over: what the agent still says is left out.
    closing: bool,
    /// When the agent is ended whatever it does.
    deadline: Option<Instant>,
}

enum Step {
    On,
    Ended(AgentEnd),
    /// The turn is stopped, and the agent was given the time to stop by itself.
    Cancel,
}

impl Answer<'_> {
    async fn run(&self) -> Result<TurnOutcome, ProviderError> {
        let mut memory = self.memory().await?;
        // Also where the conversation is over: its agent may not be, nor what it committed be brought over.
        loop {
            let died = self.attempt(&mut memory).await?;
            match memory.reader.end.clone() {
                Some(end) => return self.outcome(end).await,
                None => self.bury(&died, &mut memory).await?,
            }
        }
    }

    /// Goes on with what is stored, or begins: what run there is to be is stored before there is one.
    async fn memory(&self) -> Result<Memory<Talk>, ProviderError> {
        let stored = Memory::<Talk>::read(self.turn.state.as_deref());
        let reader = match stored {
            Some(memory) if self.turn.resumed && !memory.reader.is_failed() => return Ok(memory),
            Some(memory) if self.turn.resumed => memory.reader.anew(),
            Some(memory) => memory.reader.next_turn(),
            None => Talk::default(),
        };
        let memory = Memory::new(reader);
        self.store(&memory, Vec::new()).await?;
        Ok(memory)
    }

    /// Stores, and waits for it: what is written to the agent must be known to who comes next.
    async fn store(&self, memory: &Memory<Talk>, mut chunks: Vec<Chunk>) -> Result<(), ProviderError> {
        let state = memory.state();
        chunks.extend([Chunk::Flush, Chunk::State(state.clone())]);
        send(self.out, chunks).await?;
        if settled(&self.turn.link, &state).await {
            return Ok(());
        }
        Err(ProviderError::Failed {
            reason: "the conversation with the agent could not be stored".to_owned(),
        })
    }

    /// Follows one run to its end.
    async fn attempt(&self, memory: &mut Memory<Talk>) -> Result<AgentEnd, ProviderError> {
        let room = self.host.room(self.turn, self.agent, &memory.run, self.stop).await?;
        if let Some((text, data)) = room.told.clone() {
            self.store(memory, vec![Chunk::Permission { text, data }]).await?;
        }
        let watch = self.gate.watch(self.turn, self.out, self.stop).await;
        let watch = watch.map_err(|error| ProviderError::Failed { reason: error.to_string() })?;
        let landing = Landing::of(&room);
        let place = (memory.run.as_str(), memory.offset);
        let follow = Follow::open(self.host, (self.turn, &room), &self.agent.argv, place, self.stop).await;
        let follow = match follow {
            Ok(follow) => follow,
            Err(RunnerError::NoSuchRun { .. }) => {
                let left = self.land(landing, memory, BRINGING).await;
                self.store(memory, left.into_iter().collect()).await?;
                return Ok(gone());
            }
            Err(error) => return Err(self.unstarted(&error)),
        };
        let lodged = room.lodging.as_ref().map(|lodging| lodging.cwd.clone());
        let cwd = lodged.or(self.turn.worktree.clone()).unwrap_or_else(|| home(&self.turn.env));
        let server = Arc::new(Server::new(self.turn, &memory.run, room, watch));
        let sent = follow.applied();
        memory.reader.reached(sent);
        let deadline = Some(Instant::now() + OPENING);
        let mut attempt = Attempt {
            follow,
            server,
            landing,
            cwd,
            rest: Vec::new(),
            sent,
            serving: JoinSet::new(),
            closing: false,
            deadline,
        };
        for asked in memory.reader.asked.clone() {
            attempt.serving.spawn(Arc::clone(&attempt.server).serve(asked));
        }
        memory.reader.begin(&self.topic(&attempt.cwd));
        self.sync(&mut attempt, memory, Vec::new()).await?;
        loop {
            match self.step(&mut attempt, memory).await? {
                Step::On => {}
                Step::Ended(end) => {
                    let left = self.land(attempt.landing, memory, BRINGING).await;
                    self.store(memory, left.into_iter().collect()).await?;
                    attempt.follow.close().await;
                    return Ok(end);
                }
                Step::Cancel => {
                    attempt.follow.cancel().await;
                    let left = self.land(attempt.landing, memory, BRINGING_LATE).await;
                    // Who goes on with the turn begins a new run.
                    memory.again();
                    memory.reader = memory.reader.anew();
                    self.store(memory, left.into_iter().collect()).await?;
                    return Err(ProviderError::Stopped);
                }
            }
        }
    }

    fn topic<'t>(&'t self, cwd: &'t Path) -> Topic<'t> {
        let (prompt, with_history) = self.words;
        Topic { cwd, prompt, with_history, version: env!("CARGO_PKG_VERSION") }
    }

    /// What the agent committed comes over; in words, once, what does not.
    async fn land(&self, landing: Landing, memory: &mut Memory<Talk>, patience: Duration) -> Option<Chunk> {
        let why = landing.finish(patience).await?;
        let first = !std::mem::replace(&mut memory.told_left, true);
        let text = || format!("\n\n[{}]\n\n", self.turn.redactor.redact(&why));
        first.then(|| Chunk::Text { text: text(), tokens: Vec::new() })
    }

    /// One thing that happens.
    async fn step(&self, attempt: &mut Attempt, memory: &mut Memory<Talk>) -> Result<Step, ProviderError> {
        let deadline = attempt.deadline;
        let due = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            next = attempt.follow.next() => match next? {
                Next::Output(bytes) => {
                    self.read(attempt, memory, &bytes, false).await?;
                    attempt.landing.stir();
                }
                Next::Ended(end) => {
                    self.read(attempt, memory, &[], true).await?;
                    return Ok(Step::Ended(end));
                }
                Next::Stop(Stopping::Leave) => return Err(ProviderError::Stopped),
                Next::Stop(Stopping::End) => {
                    memory.reader.cancel();
                    self.sync(attempt, memory, Vec::new()).await?;
                    attempt.deadline = Some(Instant::now() + ENDING);
                }
            },
            Some(served) = attempt.serving.join_next() => {
                if let Ok(Served { id, result, chunks }) = served {
                    memory.reader.answer(&id, &result);
                    self.sync(attempt, memory, chunks).await?;
                }
            }
            () = due => {
                if self.stop.is_cancelled() {
                    return Ok(Step::Cancel);
                }
                if memory.reader.is_opening() && memory.reader.end.is_none() {
                    memory.reader.end = Some(End::Failed("it does not answer".to_owned()));
                    self.sync(attempt, memory, Vec::new()).await?;
                }
                attempt.follow.end().await;
                attempt.deadline = None;
            }
        }
        Ok(Step::On)
    }

    async fn read(
        &self,
        attempt: &mut Attempt,
        memory: &mut Memory<Talk>,
        bytes: &[u8],
        at_end: bool,
    ) -> Result<(), ProviderError> {
        if attempt.closing {
            return Ok(());
        }
        attempt.rest.extend(bytes);
        let known = memory.reader.asked.len();
        let (mut used, mut chunks) = (0, Vec::new());
        let topic = self.topic(&attempt.cwd);
        while let Some(length) = attempt.rest[used..].iter().position(|byte| *byte == b'\n') {
            memory.reader.read(&attempt.rest[used..used + length], &topic, &mut chunks);
            used += length + 1;
        }
        if at_end {
            memory.reader.read(&attempt.rest[used..], &topic, &mut chunks);
            used = attempt.rest.len();
        } else if attempt.rest.len() - used > LONGEST_LINE {
            memory.reader.end = Some(End::Failed("it writes a line that is longer than 32 MiB".to_owned()));
        }
        attempt.rest.drain(..used);
        memory.offset += used as u64;
        for asked in &memory.reader.asked[known..] {
            attempt.serving.spawn(Arc::clone(&attempt.server).serve(asked.clone()));
        }
        if used > 0 || memory.reader.end.is_some() {
            self.sync(attempt, memory, chunks).await?;
        }
        Ok(())
    }

    /// Stores where the conversation is, and only then writes what is to be written.
    async fn sync(
        &self,
        attempt: &mut Attempt,
        memory: &mut Memory<Talk>,
        mut chunks: Vec<Chunk>,
    ) -> Result<(), ProviderError> {
        let lines: Vec<(u64, String)> = memory
            .reader
            .outbox
            .range(attempt.sent + 1..)
            .map(|(number, line)| (*number, line.clone()))
            .collect();
        let over = memory.reader.end.is_some();
        if lines.is_empty() && !over {
            chunks.push(Chunk::State(memory.state()));
            return send(self.out, chunks).await;
        }
        self.store(memory, chunks).await?;
        for (number, line) in lines {
            attempt.follow.controls().write(number, line).await;
            attempt.sent = number;
        }
        // Written to a runner that takes them is as good as read: it lives as long as the agent.
        memory.reader.reached(attempt.sent);
        if over && !std::mem::replace(&mut attempt.closing, true) {
            // Nothing is written any more.
            attempt.follow.controls().close_input(u64::MAX).await;
            attempt.deadline = Some(Instant::now() + ENDING);
        } else if !over && !memory.reader.is_opening() && !self.stop.is_cancelled() {
            attempt.deadline = None;
        }
        Ok(())
    }

    async fn outcome(&self, end: End) -> Result<TurnOutcome, ProviderError> {
        let name = &self.agent.name;
        match end {
            End::Complete => Ok(TurnOutcome::Complete),
            End::Bound => Ok(TurnOutcome::Cut),
            End::Refused => Ok(TurnOutcome::Refused),
            End::Cancelled => Err(ProviderError::Stopped),
            End::Failed(why) => {
                Err(ProviderError::Failed { reason: self.redacted(format!("{name} failed: {why}")).await })
            }
            End::Needs(what) => {
                Err(ProviderError::Parked { reason: self.redacted(format!("{name}: {what}")).await })
            }
        }
    }

    /// An agent that died before it said anything is started again, a few times. One that had begun to answer is only
    /// started again when somebody asks for it.
    async fn bury(&self, end: &AgentEnd, memory: &mut Memory<Talk>) -> Result<(), ProviderError> {
        if self.stop.is_cancelled() || end.cause == EndCause::Asked {
            return Err(ProviderError::Stopped);
        }
        let (opening, spoke) = (memory.reader.is_opening(), memory.reader.spoke);
        let death = memory.died();
        memory.reader = memory.reader.anew();
        let mut chunks = Vec::new();
        if spoke {
            let text = format!("\n\n[{} {end} here; the answer is cut off.]\n\n", self.agent.name);
            chunks.push(Chunk::Text { text, tokens: Vec::new() });
        }
        self.store(memory, chunks).await?;
        let (name, words) = (&self.agent.name, last_words(&end.stderr));
        let by_itself = end.cause == EndCause::Itself && end.code.is_some();
        let (parked, reason) = match (spoke, death) {
            _ if opening && by_itself => {
                (false, format!("{name} ended before it was ready ({end}). {words}"))
            }
            (true, _) => (true, format!("{name} {end} in the middle of its answer; resume goes on. {words}")),
            (false, Death::TooMany) => (true, format!("{name} {end} four times within a minute. {words}")),
            (false, Death::Restart) => return Ok(()),
        };
        let reason = self.redacted(reason.trim().to_owned()).await;
        Err(if parked { ProviderError::Parked { reason } } else { ProviderError::Failed { reason } })
    }

    fn unstarted(&self, error: &RunnerError) -> ProviderError {
        match error {
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

fn gone() -> AgentEnd {
    AgentEnd { code: None, signal: None, cause: EndCause::RunnerDied, stderr: String::new() }
}
