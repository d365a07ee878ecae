//! The table of methods: one row for each, the only place where a name and its types meet.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::*;

/// Whose connection may call a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Also an agent on its capability socket, within its session's rights.
    Anyone,
    /// Only a connection that proved to be a person's.
    Person,
}

/// How an editor without a plugin reaches a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposure {
    /// `workspace/executeCommand` with `podium.<name with dots>`, and the custom method.
    Command,
    /// Only the custom method `podium/<name>`.
    Method,
    /// IPC only.
    Internal,
}

/// One request type of the protocol.
pub trait Method: 'static {
    const NAME: &'static str;
    const ACCESS: Access;
    /// Whether the client sends variables of its environment along.
    const NEEDS_ENV: bool;
    type Params: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static;
    type Answer: Serialize + DeserializeOwned + JsonSchema + Send + 'static;
}

/// A row of the table, for code that goes through all methods.
pub struct MethodInfo {
    pub name: &'static str,
    pub doc: &'static str,
    pub access: Access,
    pub exposure: Exposure,
    pub needs_env: bool,
    pub params: fn(&mut SchemaGenerator) -> Schema,
    pub answer: fn(&mut SchemaGenerator) -> Schema,
}

impl MethodInfo {
    /// Name of the LSP command: `worktree/create` becomes `podium.worktree.create`.
    #[must_use]
    pub fn command(&self) -> String {
        format!("podium.{}", self.name.replace('/', "."))
    }
}

/// The row of a method, by its name.
#[must_use]
pub fn method_info(name: &str) -> Option<&'static MethodInfo> {
    METHODS.iter().find(|m| m.name == name)
}

macro_rules! methods {
    ($($(#[doc = $doc:literal])+ $name:literal $ty:ident($params:ty) -> $answer:ty, $access:ident, $exposure:ident, env: $env:literal;)*) => {
        $(
            $(#[doc = $doc])+
            pub struct $ty;
            impl Method for $ty {
                const NAME: &'static str = $name;
                const ACCESS: Access = Access::$access;
                const NEEDS_ENV: bool = $env;
                type Params = $params;
                type Answer = $answer;
            }
        )*
        /// Every method, in the order of the documentation.
        pub static METHODS: &[MethodInfo] = &[$(MethodInfo {
            name: $name,
            doc: concat!($($doc, "\n"),+),
            access: Access::$access,
            exposure: Exposure::$exposure,
            needs_env: $env,
            params: |g| g.subschema_for::<$params>(),
            answer: |g| g.subschema_for::<$answer>(),
        }),*];
    };
}

methods! {
    /// Answers with what it was sent.
    "ping" Ping(PingParams) -> Pong, Anyone, Internal, env: false;
    /// How the daemon is: process, memory, connections.
    "status" Status(StatusParams) -> DaemonStatus, Anyone, Command, env: false;
    /// Each part of the system: ok, degraded, broken or off, and what to do.
    "doctor" Doctor(DoctorParams) -> DoctorReport, Anyone, Command, env: true;
    /// Ends the daemon: writes finish, running sessions are marked resumable.
    "stop" Stop(StopParams) -> Stopping, Person, Internal, env: false;

    /// The merged configuration with the source of each value.
    "config/get" ConfigGet(ConfigGetParams) -> ConfigValues, Anyone, Method, env: false;
    /// Changes the user's configuration.
    "config/set" ConfigSet(ConfigSetParams) -> ConfigValues, Person, Method, env: false;

    /// Makes a repository known. Other methods do it by themselves.
    "repo/register" RepoRegister(RepoRegisterParams) -> RepoRegistered, Person, Method, env: true;
    /// Repositories Podium knows.
    "repo/list" RepoListMethod(RepoListParams) -> RepoList, Anyone, Method, env: false;
    /// Clones into a project folder, or makes one of a plain clone in place; `worktree/undo` takes that back.
    "repo/init" RepoInit(RepoInitParams) -> RepoInited, Person, Method, env: true;
    /// Takes back everything that Podium left in a repository.
    "repo/forget" RepoForget(RepoForgetParams) -> RepoForgotten, Person, Method, env: true;

    /// Makes a worktree and its branch, or enters the one of that name.
    "worktree/create" WorktreeCreate(WorktreeCreateParams) -> WorktreeCreated, Anyone, Command, env: true;
    /// Worktrees with owner and state.
    "worktree/list" WorktreeListMethod(WorktreeListParams) -> WorktreeList, Anyone, Command, env: false;
    /// One worktree with its changed paths, by a fresh look.
    "worktree/status" WorktreeStatusMethod(WorktreeStatusParams) -> WorktreeStatus, Anyone, Command, env: false;
    /// Finds the worktree to go to, and the same file in it.
    "worktree/switch" WorktreeSwitch(WorktreeSwitchParams) -> WorktreeSwitched, Anyone, Command, env: false;
    /// Removes a worktree into the trash, from which `worktree/undo` brings it back.
    "worktree/remove" WorktreeRemove(WorktreeRemoveParams) -> WorktreeRemoved, Anyone, Command, env: true;
    /// Brings a removed worktree back: files, untracked ones, branch.
    "worktree/undo" WorktreeUndo(WorktreeUndoParams) -> WorktreeUndone, Anyone, Command, env: true;
    /// Opens a pull request in a worktree of its own, or enters and updates it.
    "worktree/review" WorktreeReview(WorktreeReviewParams) -> WorktreeReviewed, Anyone, Command, env: true;
    /// Suggestions in the comments of a review, told or taken into its worktree as commits.
    "review/suggestions" ReviewSuggestions(ReviewSuggestionsParams) -> ReviewSuggested, Anyone, Command, env: true;
    /// Pushes the commits made in a review's worktree to the pull request's branch, or to one beside it.
    "review/push" ReviewPush(ReviewPushParams) -> ReviewPushed, Person, Command, env: true;
    /// Worktrees whose work does not merge with each other's, or with trunk.
    "worktree/conflicts" WorktreeConflictsMethod(WorktreeConflictsParams) -> WorktreeConflicts, Anyone, Command, env: false;
    /// Ports and database name that a worktree has of its own.
    "worktree/env" WorktreeEnvMethod(WorktreeEnvParams) -> WorktreeEnv, Anyone, Method, env: false;
    /// Checks out the submodules of a worktree, and its large files.
    "worktree/submodules" WorktreeSubmodulesMethod(WorktreeSubmodulesParams) -> WorktreeSubmodules, Anyone, Method, env: true;
    /// Hooks of the project's configuration, and which of them were approved.
    "hook/list" HookListMethod(HookListParams) -> HookList, Anyone, Method, env: false;
    /// Allows hooks to run, as long as what they run stays the same.
    "hook/approve" HookApprove(HookApproveParams) -> HookList, Person, Method, env: false;
    /// Merges a worktree's branch into trunk; `worktree/undo` takes it back while trunk stays there.
    "worktree/merge" WorktreeMerge(WorktreeMergeParams) -> WorktreeMerged, Anyone, Command, env: true;
    /// Removes a worktree and its branch once trunk has its work.
    "worktree/close" WorktreeClose(WorktreeCloseParams) -> WorktreeRemoved, Anyone, Command, env: true;
    /// Removals and merges that can be taken back.
    "undo/list" UndoListMethod(UndoListParams) -> UndoList, Anyone, Command, env: false;
    /// Removes worktrees that nobody needs any more, or tells which they are.
    "worktree/prune" WorktreePrune(WorktreePruneParams) -> WorktreesPruned, Person, Command, env: true;
    /// Mends links of moved worktrees, git's locks, and what a crash left.
    "repo/repair" RepoRepair(RepoRepairParams) -> RepoRepaired, Person, Command, env: true;
    /// Follows what others did with git.
    "repo/reconcile" RepoReconcile(RepoReconcileParams) -> RepoReconciled, Anyone, Command, env: false;
    /// What is off in a repository, and what to do.
    "repo/doctor" RepoDoctor(RepoDoctorParams) -> RepoDiagnosis, Anyone, Command, env: false;
    /// Disk that worktrees take.
    "worktree/du" WorktreeDu(WorktreeDuParams) -> DiskUse, Anyone, Command, env: false;
    /// Types of worktrees.
    "type/list" TypeListMethod(TypeListParams) -> TypeList, Anyone, Command, env: false;
    /// Adds a type of worktrees.
    "type/add" TypeAdd(TypeChangeParams) -> TypeList, Person, Method, env: false;
    /// Drops a type of worktrees; those that are of it stay.
    "type/remove" TypeRemove(TypeChangeParams) -> TypeList, Person, Method, env: false;
    /// The worktree a file lies in.
    "worktree/locate" WorktreeLocate(WorktreeLocateParams) -> WorktreeLocated, Anyone, Method, env: false;

    /// Claims a worktree: exactly one owner, with a rising fencing token.
    "claim/acquire" ClaimAcquire(ClaimAcquireParams) -> ClaimAcquired, Anyone, Command, env: false;
    /// Gives a claim back.
    "claim/release" ClaimRelease(ClaimReleaseParams) -> ClaimReleased, Anyone, Command, env: false;
    /// Whose a worktree is, from the asker's point of view.
    "claim/verify" ClaimVerify(ClaimVerifyParams) -> ClaimVerified, Anyone, Command, env: false;
    /// Keeps a claim alive that no process is bound to.
    "claim/heartbeat" ClaimHeartbeat(ClaimHeartbeatParams) -> ClaimHeartbeaten, Anyone, Method, env: false;

    /// Links the files that all worktrees share, repairs the links, and tells how each is.
    "sync/run" SyncRun(SyncRunParams) -> SyncReport, Anyone, Command, env: false;
    /// What links replaced, and where it is kept.
    "sync/backups" SyncBackupsMethod(SyncBackupsParams) -> SyncBackups, Anyone, Method, env: false;

    /// The guard against commits in somebody else's worktree: how it is, in, out.
    "guard/run" GuardRun(GuardRunParams) -> GuardReport, Anyone, Command, env: false;

    /// Starts a session and answers with its id at once; `session/attach` streams it.
    "session/start" SessionStart(SessionStartParams) -> SessionStarted, Anyone, Command, env: true;
    /// Goes on with a session, or adds a turn.
    "session/resume" SessionResume(SessionResumeParams) -> SessionStarted, Anyone, Command, env: true;
    /// Claim, session, commit, release: runs an agent on a task in a worktree of its own; `session/attach` streams it.
    "session/run" SessionRun(SessionRunParams) -> SessionRunStarted, Person, Command, env: true;
    /// What came of a run: commits, changed files, whether the worktree is free again.
    "session/outcome" SessionOutcome(SessionOutcomeParams) -> RunInfo, Anyone, Command, env: false;
    /// Streams the items of a session.
    "session/attach" SessionAttach(SessionAttachParams) -> SessionAttached, Anyone, Method, env: false;
    /// Ends a running session; what it said stays.
    "session/cancel" SessionCancel(SessionCancelParams) -> SessionCancelled, Anyone, Command, env: false;
    /// Sessions, newest first.
    "session/list" SessionListMethod(SessionListParams) -> SessionList, Anyone, Command, env: false;
    /// Sessions whose transcript holds these words, and where.
    "session/search" SessionSearch(SessionSearchParams) -> SessionHits, Anyone, Command, env: false;
    /// A session with its transcript.
    "session/show" SessionShow(SessionShowParams) -> SessionShown, Anyone, Command, env: false;
    /// Places of a session to go back to.
    "session/checkpoints" SessionCheckpointsMethod(SessionCheckpointsParams) -> SessionCheckpoints, Anyone, Method, env: false;
    /// Goes back to a checkpoint: files and conversation; what is there now is kept.
    "session/rewind" SessionRewind(SessionRewindParams) -> SessionRewound, Person, Command, env: true;
    /// Makes a session of its own out of another one's beginning, in the same worktree or in a new one.
    "session/fork" SessionFork(SessionForkParams) -> SessionForked, Person, Command, env: true;
    /// The transcript as a document.
    "session/export" SessionExport(SessionExportParams) -> SessionExported, Anyone, Method, env: false;
    /// What a session changed in its worktree, file by file and hunk by hunk.
    "session/diff" SessionDiffMethod(SessionDiffParams) -> SessionDiff, Anyone, Method, env: true;
    /// Takes back what a session changed in one file, or single hunks of it.
    "session/revert" SessionRevert(SessionRevertParams) -> SessionReverted, Person, Method, env: true;
    /// Tokens and cost of sessions by day, provider and worktree.
    "session/usage" SessionUsageMethod(SessionUsageParams) -> SessionUsage, Person, Method, env: false;
    /// Opens the capability socket of a session's agent.
    "session/capability" SessionCapabilityMethod(SessionCapabilityParams) -> SessionCapability, Person, Method, env: false;
    /// Providers, whether each can be used, and how to make it so.
    "provider/list" ProviderListMethod(ProviderListParams) -> ProviderList, Anyone, Command, env: true;

    /// Full-text search over artifacts.
    "artifact/search" ArtifactSearch(ArtifactSearchParams) -> ArtifactHits, Anyone, Command, env: false;
    /// Artifacts, newest first.
    "artifact/list" ArtifactListMethod(ArtifactListParams) -> ArtifactList, Anyone, Command, env: false;
    /// An artifact with its content.
    "artifact/get" ArtifactGet(ArtifactGetParams) -> ArtifactContent, Anyone, Command, env: false;
    /// Stores a text as an artifact; known secrets in it are redacted.
    "artifact/put" ArtifactPut(ArtifactPutParams) -> ArtifactStored, Anyone, Method, env: true;

    /// Local models and their state.
    "model/list" ModelListMethod(ModelListParams) -> ModelList, Anyone, Command, env: false;
    /// Fetches and verifies a model; goes on where an earlier fetch stopped.
    "model/fetch" ModelFetch(ModelParams) -> ModelChanged, Person, Command, env: true;
    /// Reads a model's file and compares its checksum.
    "model/verify" ModelVerify(ModelParams) -> ModelChanged, Person, Command, env: false;
    /// Deletes a model's file.
    "model/remove" ModelRemove(ModelParams) -> ModelChanged, Person, Command, env: false;

    /// Checks a melody: every fault with its place.
    "melody/validate" MelodyValidate(MelodyValidateParams) -> MelodyValidated, Anyone, Internal, env: false;
    /// Starts a run of a melody and answers with its id at once; `pit/attach` streams it.
    "melody/run" MelodyRunStart(MelodyRunParams) -> MelodyStarted, Anyone, Command, env: true;
    /// Runs of melodies, newest first.
    "pit/runs" PitRunsMethod(PitRunsParams) -> PitRuns, Anyone, Command, env: false;
    /// A run with the states of its nodes.
    "pit/show" PitShow(PitShowParams) -> PitShown, Anyone, Command, env: false;
    /// Streams the states of a run's nodes.
    "pit/attach" PitAttach(PitAttachParams) -> PitAttached, Anyone, Method, env: true;
    /// What the nodes of a run said.
    "pit/logs" PitLogsMethod(PitLogsParams) -> PitLogs, Anyone, Method, env: false;
    /// How long runs and nodes take.
    "pit/metrics" PitMetricsMethod(PitMetricsParams) -> PitMetrics, Anyone, Method, env: false;
    /// Pauses, resumes or cancels a run, or runs nodes of it again.
    "pit/control" PitControl(PitControlParams) -> MelodyRun, Anyone, Command, env: true;
    /// Models, providers and agents that the Pit may use.
    "pool/list" PoolListMethod(PoolListParams) -> PoolList, Anyone, Command, env: true;

    /// Streams the event log.
    "events/subscribe" EventsSubscribe(EventsSubscribeParams) -> EventsSubscribed, Anyone, Method, env: false;
    /// A page of the event log.
    "events/read" EventsRead(EventsReadParams) -> EventsPage, Anyone, Method, env: false;
    /// Appends an event of one's own to the log: `task.assigned` puts a task into its queue.
    "event/publish" EventPublish(EventPublishParams) -> EventPublished, Anyone, Method, env: true;
    /// One event of the log.
    "event/get" EventGet(EventGetParams) -> EventFound, Anyone, Method, env: false;
    /// Types of events: who may publish them, the shape of their data, how many the log has.
    "event/types" EventTypesMethod(EventTypesParams) -> EventTypes, Anyone, Method, env: false;

    /// Listens to a queue of tasks: each is claimed, worked on, committed and released, and has one outcome.
    "task/listen" TaskListen(TaskListenParams) -> TaskListening, Person, Internal, env: true;
    /// Tasks of the queues, newest first.
    "task/list" TaskListMethod(TaskListParams) -> TaskList, Anyone, Method, env: false;
    /// One task.
    "task/show" TaskShow(TaskParams) -> TaskShown, Anyone, Method, env: false;
    /// Assigns a task again that failed.
    "task/retry" TaskRetry(TaskParams) -> TaskShown, Person, Method, env: false;
    /// Ends a subscription to events, to a session or to a queue.
    "unsubscribe" Unsubscribe(UnsubscribeParams) -> Unsubscribed, Anyone, Method, env: false;

    /// Puts a question to the person.
    "inbox/ask" InboxAsk(InboxAskParams) -> InboxAnswered, Anyone, Method, env: false;
    /// Open questions.
    "inbox/list" InboxListMethod(InboxListParams) -> InboxList, Anyone, Command, env: false;
    /// Answers a question, once.
    "inbox/answer" InboxAnswer(InboxAnswerParams) -> InboxAnswered, Person, Command, env: false;
    /// Answers that hold for later questions too.
    "permission/list" PermissionListMethod(PermissionListParams) -> PermissionList, Person, Method, env: false;
    /// Takes such an answer back: the next time is asked again.
    "permission/forget" PermissionForget(PermissionForgetParams) -> PermissionForgotten, Person, Method, env: false;
}

/// Names of the notifications a daemon sends.
pub mod notify {
    pub const EVENT: &str = "event";
    pub const SESSION_UPDATE: &str = "session/update";
    pub const PIT_UPDATE: &str = "pit/update";
    pub const PROGRESS: &str = "progress";
    pub const TASK_END: &str = "task/end";
    pub const DAEMON_STOPPING: &str = "daemon/stopping";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        for method in METHODS {
            assert_eq!(METHODS.iter().filter(|m| m.name == method.name).count(), 1, "{}", method.name);
            assert!(std::ptr::eq(method_info(method.name).unwrap(), method));
        }
    }

    #[test]
    fn what_decides_over_others_needs_a_person() {
        for name in [
            "inbox/answer",
            "permission/list",
            "permission/forget",
            "config/set",
            "stop",
            "session/capability",
            "task/listen",
            "task/retry",
            "session/rewind",
            "session/fork",
            "session/revert",
            "repo/forget",
            "hook/approve",
        ] {
            assert_eq!(method_info(name).unwrap().access, Access::Person, "{name}");
        }
    }
}
