//! Whether a turn shows signs of life. Silence is what is neither a tool that runs nor a wait for somebody, for longer
//! than the provider's bound: then it is told, and after as long again something is done about it.

use std::collections::BTreeMap;
use std::time::Duration;

use podium_protocol::HealthState;
use tokio::time::Instant;

use crate::hub::Running;
use crate::provider::Chunk;

/// Revivals of one turn, at most, in the time that this many silences take and [`WINDOW`] more.
pub(super) const REVIVALS: usize = 3;
const WINDOW: Duration = Duration::from_secs(60);

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// It is silent from now on.
    Tell,
    /// It is silent for too long.
    Act,
}

pub(super) struct Vitals {
    running: Running,
    /// How long nothing may come; `None`: for ever.
    bound: Option<Duration>,
    /// The provider runs its tools itself: its calls tell which.
    runs_tools: bool,
    /// The last sign of life.
    last: Instant,
    state: HealthState,
    /// Until when a wait was announced to last, where it was.
    until: Option<Instant>,
    /// The tool that is run for a bare model.
    tool: Option<String>,
    /// Calls of an agent without a result.
    open: BTreeMap<String, String>,
    revivals: Vec<Instant>,
    revived: u32,
    suspended: bool,
}

impl Vitals {
    pub(super) fn new(running: Running, bound: Option<Duration>, runs_tools: bool) -> Self {
        Self {
            running,
            bound,
            runs_tools,
            last: Instant::now(),
            state: HealthState::Working,
            until: None,
            tool: None,
            open: BTreeMap::new(),
            revivals: Vec::new(),
            revived: 0,
            suspended: false,
        }
    }

    /// A question begins: calls of an answer before are over.
    pub(super) fn begin(&mut self) {
        self.open.clear();
        self.suspended = false;
        self.alive();
    }

    /// What is run for a bare model now.
    pub(super) fn runs(&mut self, tool: Option<&str>) {
        self.tool = tool.map(str::to_owned);
        self.alive();
    }

    pub(super) fn sees(&mut self, chunk: &Chunk) {
        match chunk {
            Chunk::Batch(chunks) => return chunks.iter().for_each(|chunk| self.sees(chunk)),
            Chunk::Progress(progress) if progress.phase == "waiting" => {
                self.last = Instant::now();
                let announced = (progress.total > 0).then(|| Duration::from_secs(progress.total));
                self.until = announced.map(|wait| self.last + wait);
                return self.turns(HealthState::Waiting);
            }
            Chunk::ToolCall(call) if self.runs_tools => {
                self.open.insert(call.id.clone(), call.name.clone());
            }
            Chunk::ToolResult(result) if self.runs_tools => {
                self.open.remove(&result.id);
            }
            _ => {}
        }
        self.alive();
    }

    pub(super) fn alive(&mut self) {
        self.last = Instant::now();
        let tool = self.tool.is_some() || !self.open.is_empty();
        self.turns(if tool { HealthState::Tool } else { HealthState::Working });
    }

    fn turns(&mut self, state: HealthState) {
        self.state = state;
        let tool = self.tool.as_ref().or_else(|| self.open.values().next_back());
        let tool = tool.filter(|_| state == HealthState::Tool).map(String::as_str);
        self.running.set_health(state, tool, self.revived);
    }

    /// When to look again, if nothing comes until then.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let bound = self.bound.filter(|_| !self.suspended)?;
        match self.state {
            HealthState::Working => Some(self.last + bound),
            HealthState::Silent => Some(self.last + bound * 2),
            HealthState::Waiting => self.until.map(|until| until + bound),
            HealthState::Tool => None,
        }
    }

    /// The deadline is there.
    pub(super) fn due(&mut self) -> Due {
        if self.running.pulse().is_busy() {
            // What the agent asked for is being done.
            self.last = Instant::now();
            return Due::Nothing;
        }
        if self.state == HealthState::Silent {
            return Due::Act;
        }
        self.turns(HealthState::Silent);
        Due::Tell
    }

    /// Something is done about the silence. Whether that was not done too often already.
    pub(super) fn revive(&mut self) -> bool {
        let now = Instant::now();
        let span = WINDOW + self.bound.unwrap_or_default() * 2 * (REVIVALS as u32 + 1);
        self.revivals.retain(|at| now - *at < span);
        self.revivals.push(now);
        self.last = now;
        let may = self.revivals.len() <= REVIVALS;
        self.revived += u32::from(may);
        self.turns(HealthState::Silent);
        may
    }

    /// Nothing more is expected of this answer.
    pub(super) fn suspend(&mut self) {
        self.suspended = true;
    }

    /// Seconds of silence after which something is done.
    pub(super) fn patience(&self) -> u64 {
        self.bound.unwrap_or_default().as_secs() * 2
    }
}

/// Never, where there is no time.
pub(super) async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
