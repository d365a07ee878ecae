//! A run at work: started with its row, gone on with after a restart, ended with what came of it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use podium_melody::{Format, Interval, Melody, NodeKind};
use podium_pit::dag::{Executor, History, Job, Plan, Report, RunHandle, RunId, RunState, Settings};
use podium_protocol::{MelodyRunStatus, WireError};
use podium_sessions::{Env, WorktreeRef};
use serde_json::Map;

use super::cache::StoredActions;
use super::journal::{Slot, status_of};
use super::operators::{Bench, Known, Starter};
use super::rows::RunRow;
use super::{Pit, rows, start};
use crate::state::Daemon;

/// Nodes of one run at one time.
const PARALLEL: usize = 8;
/// How long a person may take to answer where the melody does not say.
const PERSON: Duration = Duration::from_secs(7 * 24 * 3600);
/// Between the request to end and the end of what a node runs.
const GRACE: Duration = Duration::from_secs(4);
/// Before a run whose record could not be kept is taken up again.
const TAKE_UP_AGAIN: Duration = Duration::from_secs(10);

pub(super) type Engine = Executor;

/// A run that is worked on.
pub(super) struct Live {
    pub(super) handle: RunHandle,
}

impl Pit {
    /// Nothing more is recorded: each run stops where it is, and the next daemon goes on with it.
    pub(crate) fn suspend(&self) {
        self.journal.suspend();
    }

    fn engine(&self, daemon: &Daemon) -> &Engine {
        self.executor.get_or_init(|| {
            let settings = Settings { parallel: PARALLEL, grace: GRACE, ..Settings::default() };
            Executor::new(Arc::<super::runner::Operators>::clone(&self.operators), settings)
                .with_journal(Arc::<super::journal::StoreJournal>::clone(&self.journal))
                .with_cache(Arc::new(StoredActions(daemon.store.clone())))
        })
    }
}

/// Compiles a melody off the threads that serve.
pub(super) async fn plan(pit: &Pit, melody: &Melody) -> Result<Arc<Plan>, WireError> {
    let (mut melody, catalogue) = (melody.clone(), Arc::clone(&pit.catalogue));
    for node in melody.nodes.iter_mut().filter(|node| node.uses == "human.approve") {
        node.timeout.get_or_insert(Interval(PERSON));
    }
    let compiled = tokio::task::spawn_blocking(move || Plan::of(&melody, &catalogue)).await;
    let plan = compiled.map_err(|_| WireError::internal("reading the melody ended unexpectedly"))?;
    plan.map(Arc::new).map_err(|error| WireError::user(format!("the melody cannot run: {error}")))
}

/// A run with all that it takes to go on.
pub(super) struct Taken {
    pub(super) row: RunRow,
    pub(super) melody: Melody,
    pub(super) plan: Arc<Plan>,
    pub(super) history: History,
    pub(super) last_seq: u64,
    pub(super) env: Env,
    pub(super) worktree: Option<WorktreeRef>,
}

/// Starts a run whose row was just written.
pub(super) async fn begin(
    daemon: &Arc<Daemon>,
    row: RunRow,
    melody: &Melody,
    plan: Arc<Plan>,
    env: Env,
    worktree: Option<WorktreeRef>,
) -> Result<(), WireError> {
    let melody = melody.clone();
    set_off(daemon, Taken { row, melody, plan, history: History::default(), last_seq: 0, env, worktree })
}

/// Reads what is stored of a run.
pub(super) async fn take(daemon: &Arc<Daemon>, row: RunRow, env: Option<Env>) -> Result<Taken, WireError> {
    let (format, text) = rows::text(&daemon.store, &row.text_hash).await?;
    let format = if format == "json" { Format::Json } else { Format::Toml };
    let (document, _) = start::read(&daemon.pit, text, format).await?;
    let melody = start::sound(document)?;
    let plan = plan(&daemon.pit, &melody).await?;
    let (records, last_seq) = rows::records(&daemon.store, row.number).await?;
    let worktree = worktree_of(daemon, &row).await?;
    let env = env.unwrap_or_else(|| row.variables.clone());
    Ok(Taken { row, melody, plan, history: History::of(records), last_seq, env, worktree })
}

async fn worktree_of(daemon: &Daemon, row: &RunRow) -> Result<Option<WorktreeRef>, WireError> {
    let (Some(id), Some(repo)) = (&row.worktree, &row.repo) else { return Ok(None) };
    let name = row.folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let place = daemon.worktrees.find_place(id).await?;
    let place = place.ok_or_else(|| WireError::unavailable(format!("the worktree {name} is gone")))?;
    Ok(Some(WorktreeRef { id: id.clone(), repo: repo.clone(), name, path: place.at.path }))
}

/// Hands a run to the executor and sees it through.
pub(super) fn set_off(daemon: &Arc<Daemon>, taken: Taken) -> Result<(), WireError> {
    let Taken { row, melody, plan, history, last_seq, env, worktree } = taken;
    let pit = &daemon.pit;
    let slot = Slot::new(&row, instruments(pit, &melody), last_seq);
    let starter = Starter { name: row.started_by.clone(), session: row.session.clone() };
    let known =
        Known { run: row.id.clone(), number: row.number, folder: row.folder.clone(), worktree, starter };
    pit.operators.open(&row.id, Arc::new(Bench::new(Arc::clone(daemon), known, env)));
    pit.journal.open(Arc::clone(&slot));
    let job = Job { run: RunId::new(row.id.as_str()), plan, inputs: row.inputs.clone(), history };
    let handle = match pit.engine(daemon).start(job) {
        Ok(handle) => handle,
        Err(error) => {
            let_go(daemon, &row.id);
            return Err(WireError::user(error.message));
        }
    };
    pit.live().insert(row.id.clone(), Live { handle: handle.clone() });
    pit.tell();
    daemon.activity.notify_waiters();
    tokio::spawn(see_through(Arc::clone(daemon), slot, row.elapsed_us, handle));
    Ok(())
}

/// Nodes whose work a session does, also for each element of a list.
fn instruments(pit: &Pit, melody: &Melody) -> HashSet<String> {
    let is_one = |uses: &str| pit.catalogue.signature(NodeKind::Instrument, uses).is_some_and(|s| !s.pure);
    let by_session = |node: &&podium_melody::Node| match node.kind {
        NodeKind::Instrument => is_one(&node.uses),
        NodeKind::Control => node.params.get("uses").and_then(|uses| uses.as_str()).is_some_and(is_one),
        _ => false,
    };
    melody.nodes.iter().filter(by_session).map(|node| node.id.clone()).collect()
}

async fn see_through(daemon: Arc<Daemon>, slot: Arc<Slot>, before: u64, handle: RunHandle) {
    let Some(report) = handle.wait().await else { return };
    if report.interrupted {
        interrupted(&daemon, &slot).await;
        return;
    }
    let took = u64::try_from(report.took.as_micros()).unwrap_or(u64::MAX / 2);
    if let Err(error) = end(&daemon, &slot, &report, before.saturating_add(took)).await {
        tracing::error!(run = slot.id, error = error.message, "the end of a run could not be kept");
        interrupted(&daemon, &slot).await;
        return;
    }
    slot.tell();
    let_go(&daemon, &slot.id);
}

async fn end(daemon: &Daemon, slot: &Slot, report: &Report, elapsed_us: u64) -> Result<(), WireError> {
    let status = status_of(report.status).unwrap_or(MelodyRunStatus::Failed);
    let outputs = if report.status == RunState::Completed { report.outputs.clone() } else { Map::new() };
    if status.is_over() && status != MelodyRunStatus::Completed {
        let withdrawn = daemon.inbox.withdraw_of(&slot.id).await;
        withdrawn.map_err(|error| WireError::internal(error.to_string()))?;
    }
    rows::end(&daemon.store, slot.number, status, outputs, report.error.clone(), elapsed_us).await
}

/// The journal failed. Nothing is lost: what was recorded is where the run goes on, once it can be kept again.
async fn interrupted(daemon: &Arc<Daemon>, slot: &Slot) {
    let_go(daemon, &slot.id);
    if daemon.pit.journal.is_suspended() {
        return;
    }
    tracing::warn!(run = slot.id, "what happens in a run cannot be kept; it stops for now");
    tokio::time::sleep(TAKE_UP_AGAIN).await;
    take_up(daemon, &slot.id).await;
}

pub(super) fn let_go(daemon: &Daemon, run: &str) {
    daemon.pit.live().remove(run);
    daemon.pit.operators.close(run);
    daemon.pit.journal.close(run);
    daemon.pit.tell();
    daemon.activity.notify_waiters();
}

/// Goes on with every run that an earlier daemon did not bring to its end, but for those that are paused.
pub(crate) async fn recover(daemon: Arc<Daemon>) {
    let open = match rows::open(&daemon.store).await {
        Ok(open) => open,
        Err(error) => {
            tracing::error!(error = error.message, "open runs cannot be read");
            return;
        }
    };
    for row in open.into_iter().filter(|row| row.status != MelodyRunStatus::Paused) {
        take_up(&daemon, &row.id).await;
    }
}

/// One run of an earlier daemon, unless somebody was faster.
async fn take_up(daemon: &Arc<Daemon>, run: &str) {
    let _turn = daemon.pit.turn(run).await;
    if daemon.pit.live().contains_key(run) {
        return;
    }
    let row = match rows::find(&daemon.store, run).await {
        Ok(row) if row.ended_at.is_none() => row,
        Ok(_) => return,
        Err(error) => {
            tracing::error!(run, error = error.message, "a run cannot be read");
            return;
        }
    };
    let number = row.number;
    let elapsed = row.elapsed_us;
    let taken = match take(daemon, row, None).await {
        Ok(taken) => set_off(daemon, taken),
        Err(error) => Err(error),
    };
    if let Err(error) = taken {
        tracing::error!(run, error = error.message, "a run cannot go on");
        let message = Some(format!("it could not go on: {}", error.message));
        let failed = MelodyRunStatus::Failed;
        if let Err(error) = rows::end(&daemon.store, number, failed, Map::new(), message, elapsed).await {
            tracing::error!(run, error = error.message, "the end of a run could not be kept");
        }
        daemon.pit.tell();
    }
}
