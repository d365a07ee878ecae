//! One request on its way: who asks, with which variables, and the table that finds its handler.

use std::collections::BTreeMap;
use std::sync::Arc;

use podium_protocol::{Access, Caller, Method, WireError, method_info};
use serde_json::Value;

use crate::ipc::Peer;
use crate::pit;
use crate::services::{
    artifacts, claims, config, conflicts, events, inbox, models, pit as pool, provide, repos, reviews,
    rewinds, runs, search, sessions, sync, system, tasks, upkeep, worktrees,
};
use crate::state::{Daemon, person};

/// A request with everything a handler may need.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) daemon: Arc<Daemon>,
    pub(crate) peer: Arc<Peer>,
    /// Id of the request, for progress.
    pub(crate) request: u64,
    pub(crate) env: BTreeMap<String, String>,
}

impl Call {
    /// The agent whose capability socket this is.
    pub(crate) fn agent(&self) -> Option<(&str, &str)> {
        match &self.peer.caller {
            Caller::Person => None,
            Caller::Agent { session, agent_id } => Some((session, agent_id)),
        }
    }

    /// The caller as the worktree service knows it.
    pub(crate) fn worktree_caller(&self) -> podium_worktrees::Caller {
        podium_worktrees::Caller {
            agent: self.agent().map(|(session, agent_id)| podium_worktrees::AgentCaller {
                session: session.to_owned(),
                agent_id: agent_id.to_owned(),
            }),
            person: person(&self.daemon.host),
            env: self.env.clone(),
            connection_pid: self.peer.pid,
        }
    }

    /// Who acts where a request names nobody.
    pub(crate) fn acting(&self, named: Option<String>) -> Result<String, WireError> {
        match (self.agent(), named) {
            (Some((_, own)), Some(named)) if named != own => {
                Err(WireError::user(format!("this connection belongs to {own} and cannot act as {named}")))
            }
            (Some((_, own)), _) => Ok(own.to_owned()),
            (None, Some(named)) => Ok(named),
            (None, None) => Ok(person(&self.daemon.host)),
        }
    }

    /// An agent reaches its own session only.
    pub(crate) fn own_session(&self, id: &str) -> Result<(), WireError> {
        match self.agent() {
            Some((own, _)) if own != id => Err(WireError::user(format!(
                "this connection belongs to session {own} and cannot reach another"
            ))),
            _ => Ok(()),
        }
    }
}

macro_rules! route {
    ($call:ident, $method:ident, $params:ident; $($ty:ident => $handler:path,)*) => {
        match $method {
            $(podium_protocol::$ty::NAME => {
                let params = decode::<podium_protocol::$ty>($params)?;
                encode($handler($call, params).await?)
            })*
            other => Err(WireError::unknown_method(other)),
        }
    };
}

/// Runs a request.
pub(crate) async fn dispatch(call: Call, method: &str, params: Value) -> Result<Value, WireError> {
    let info = method_info(method).ok_or_else(|| WireError::unknown_method(method))?;
    if info.access == Access::Person
        && let Some((_, agent)) = call.agent()
    {
        return Err(WireError::user(format!(
            "`{method}` needs a person; this connection belongs to {agent}"
        ))
        .hint("ask the person: `jelmore inbox ask \"...\"`"));
    }
    route! { call, method, params;
        Ping => system::ping,
        Status => system::status,
        Doctor => system::doctor,
        Stop => system::stop,
        ConfigGet => config::get,
        ConfigSet => config::set,
        RepoRegister => repos::register,
        RepoListMethod => repos::list,
        RepoInit => repos::init,
        RepoForget => repos::forget,
        WorktreeCreate => worktrees::create,
        WorktreeListMethod => worktrees::list,
        WorktreeStatusMethod => worktrees::status,
        WorktreeSwitch => worktrees::switch,
        WorktreeRemove => worktrees::remove,
        WorktreeUndo => worktrees::undo,
        WorktreeConflictsMethod => conflicts::list,
        WorktreeLocate => worktrees::locate,
        WorktreeReview => reviews::open,
        ReviewSuggestions => reviews::suggestions,
        ReviewPush => reviews::push,
        WorktreeEnvMethod => provide::env,
        WorktreeSubmodulesMethod => provide::submodules,
        HookListMethod => provide::hooks,
        HookApprove => provide::approve,
        WorktreeMerge => upkeep::merge,
        WorktreeClose => upkeep::close,
        UndoListMethod => upkeep::undos,
        WorktreePrune => upkeep::prune,
        RepoRepair => upkeep::repair,
        RepoReconcile => upkeep::reconcile,
        RepoDoctor => upkeep::doctor,
        WorktreeDu => upkeep::disk_use,
        TypeListMethod => upkeep::types,
        TypeAdd => upkeep::add_type,
        TypeRemove => upkeep::remove_type,
        ClaimAcquire => claims::acquire,
        ClaimRelease => claims::release,
        ClaimVerify => claims::verify,
        ClaimHeartbeat => claims::heartbeat,
        GuardRun => sync::guard,
        SyncRun => sync::run,
        SyncBackupsMethod => sync::backups,
        SessionStart => sessions::start,
        SessionResume => sessions::resume,
        SessionRun => runs::run,
        SessionOutcome => runs::outcome,
        SessionAttach => sessions::attach,
        SessionUsageMethod => sessions::usage,
        SessionCancel => sessions::cancel,
        SessionListMethod => sessions::list,
        SessionSearch => search::sessions,
        SessionShow => sessions::show,
        SessionCheckpointsMethod => rewinds::checkpoints,
        SessionRewind => rewinds::rewind,
        SessionFork => rewinds::fork,
        SessionExport => rewinds::export,
        SessionDiffMethod => rewinds::diff,
        SessionRevert => rewinds::revert,
        SessionCapabilityMethod => sessions::capability,
        ProviderListMethod => sessions::providers,
        ArtifactSearch => artifacts::search,
        ArtifactListMethod => artifacts::list,
        ArtifactGet => artifacts::get,
        ArtifactPut => artifacts::put,
        ModelListMethod => models::list,
        ModelFetch => models::fetch,
        ModelVerify => models::verify,
        ModelRemove => models::remove,
        MelodyValidate => pit::validate,
        MelodyRunStart => pit::run,
        PitRunsMethod => pit::list,
        PitShow => pit::show,
        PitAttach => pit::attach,
        PitLogsMethod => pit::logs,
        PitMetricsMethod => pit::measure,
        PitControl => pit::control,
        PoolListMethod => pool::pool,
        EventsSubscribe => events::subscribe,
        EventsRead => events::read,
        EventPublish => events::publish,
        EventGet => events::get,
        EventTypesMethod => events::types,
        TaskListen => tasks::listen,
        TaskListMethod => tasks::list,
        TaskShow => tasks::show,
        TaskRetry => tasks::retry,
        Unsubscribe => events::unsubscribe,
        InboxAsk => inbox::ask,
        InboxListMethod => inbox::list,
        InboxAnswer => inbox::answer,
        PermissionListMethod => inbox::permissions,
        PermissionForget => inbox::forget,
    }
}

fn decode<M: Method>(params: Value) -> Result<M::Params, WireError> {
    let params = if params.is_null() { Value::Object(serde_json::Map::new()) } else { params };
    serde_json::from_value(params)
        .map_err(|e| WireError::user(format!("the parameters of `{}` are wrong: {e}", M::NAME)))
}

fn encode<T: serde::Serialize>(answer: T) -> Result<Value, WireError> {
    serde_json::to_value(answer).map_err(|e| WireError::internal(e.to_string()))
}
