//! Who claims, and whether an owner still exists.

use podium_process::{ProcessIdentity, ProcessState};
use podium_protocol::{Alive, WireError};

use crate::error::Result;
use crate::rows::{Binding, Claim, WorktreeRow};
use crate::service::Worktrees;
use crate::settings::Caller;

const LONGEST_ID: usize = 200;

/// Who asks for a claim, and what it shall live by.
#[derive(Debug, Clone)]
pub(crate) struct Claimant {
    pub(crate) agent_id: String,
    pub(crate) binding: Binding,
    /// The caller's name, for the log.
    pub(crate) by: String,
    pub(crate) force: bool,
    /// Another session is somebody else, also one of the same agent.
    pub(crate) alone: bool,
}

impl Claimant {
    /// Whether a session holds it that this one does not work beside.
    pub(super) fn is_kept_out(&self, binding: &Binding) -> bool {
        self.alone && matches!(binding, Binding::Session(_)) && *binding != self.binding
    }
}

impl Worktrees {
    /// Checks who may claim under which name. An agent's claim lives as long as its session.
    pub(crate) fn claimant(
        &self,
        agent_id: Option<&str>,
        pid: Option<u32>,
        session: Option<&str>,
        caller: &Caller,
    ) -> Result<Claimant> {
        let agent_id = acting_as(agent_id, caller)?;
        let own = caller.agent.as_ref().map(|agent| agent.session.as_str());
        if let (Some(asked), Some(own)) = (session, own)
            && asked != own
        {
            return Err(WireError::user("an agent can bind a claim to its own session only").into());
        }
        if pid.is_some() && own.is_some() {
            let error = WireError::user("an agent's claim lives by its session, not by a process");
            return Err(error.hint("leave out the process id").into());
        }
        let binding = match (pid, session.or(own)) {
            (Some(_), _) if session.is_some() => {
                return Err(
                    WireError::user("a claim is bound to a process or to a session, not to both").into()
                );
            }
            (Some(pid), _) => Binding::Process(ProcessIdentity::of(pid)?),
            (None, Some(session)) => {
                if !(self.inner.settings.session_alive)(session) {
                    let shown: String = session.chars().take(80).collect();
                    return Err(WireError::user(format!("session `{shown}` does not run")).into());
                }
                Binding::Session(session.to_owned())
            }
            (None, None) => Binding::Heartbeat,
        };
        Ok(Claimant { agent_id, binding, by: caller.name().to_owned(), force: false, alone: false })
    }

    /// Whether the owner of a claim exists. Age alone never proves its death.
    pub(crate) fn alive(&self, claim: &Claim) -> Alive {
        if claim.owner_dead_at.is_some() {
            return Alive::No;
        }
        if claim.host != self.inner.settings.host {
            return Alive::Unknown;
        }
        match &claim.binding {
            Binding::Process(process) => match process.state() {
                ProcessState::Alive => Alive::Yes,
                ProcessState::Dead => Alive::No,
                ProcessState::Unknown => Alive::Unknown,
            },
            Binding::Session(session) => {
                if (self.inner.settings.session_alive)(session) {
                    Alive::Yes
                } else {
                    Alive::No
                }
            }
            Binding::Heartbeat => {
                let config = self.config_of(&claim.repo);
                let limit = config.integer("claims.heartbeat_seconds").saturating_mul(1_000);
                // A clock that was set back makes the age negative, which proves nothing against the owner.
                let age = self.now().saturating_sub(claim.heartbeat_at);
                if age <= limit { Alive::Yes } else { Alive::Unknown }
            }
        }
    }

    /// The conflict that names the owner.
    /// Who holds a worktree, if that is somebody else and not proven dead.
    pub(crate) fn other_holder(
        &self,
        row: &WorktreeRow,
        agent_id: Option<&str>,
        caller: &Caller,
    ) -> Option<String> {
        let claim = row.claim.as_ref()?;
        let mine = claim.agent_id == agent_id.unwrap_or_else(|| caller.name());
        (!mine && self.alive(claim) != Alive::No).then(|| claim.agent_id.clone())
    }

    pub(crate) fn held(&self, row: &WorktreeRow, claim: &Claim) -> WireError {
        let owner = self.info(claim).owner();
        let text = format!(
            "worktree `{}` is claimed by {} on {} since {}",
            row.name, owner.agent_id, owner.host, owner.since
        );
        let error = WireError::conflict(text);
        let error = match owner.alive {
            Alive::Unknown => {
                error.hint("the owner gave no sign of life lately: a person may take over with --force")
            }
            Alive::Yes | Alive::No => {
                error.hint(format!("`imi claim {} --wait SECONDS` waits for it", row.name))
            }
        };
        error.owned_by(owner)
    }
}

/// The name a caller acts under. An agent has only its own.
pub(crate) fn acting_as(agent_id: Option<&str>, caller: &Caller) -> Result<String, WireError> {
    let agent_id = match (agent_id, &caller.agent) {
        (Some(asked), Some(agent)) if asked != agent.agent_id => {
            let shown: String = asked.chars().take(80).collect();
            return Err(WireError::user(format!("this agent is `{}`, not `{shown}`", agent.agent_id)));
        }
        (Some(asked), _) => asked,
        (None, _) => caller.name(),
    };
    let blank = agent_id.trim().is_empty();
    if blank || agent_id.len() > LONGEST_ID || agent_id.contains(char::is_control) {
        let text = format!("an agent id is 1 to {LONGEST_ID} bytes, not blank, without control characters");
        return Err(WireError::usage(text));
    }
    Ok(agent_id.to_owned())
}

/// An agent may not override anybody.
pub(crate) fn may_force(force: bool, caller: &Caller) -> Result<(), WireError> {
    if force && caller.agent.is_some() {
        return Err(WireError::user("an agent may not use force").hint("ask the person in the inbox"));
    }
    Ok(())
}
