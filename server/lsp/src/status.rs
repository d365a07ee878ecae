//! The status line: whose worktree the person works in.

use podium_protocol::{
    ErrorKind, SessionListMethod, SessionListParams, SessionStatus, StatusLine, StatusLineState, Worktree,
};

use crate::places::{Place, Standing};
use crate::state::State;
use crate::to_lsp::{to_age, to_holder};

impl State {
    /// The status line for the file or folder `uri`, else for what the person works on.
    pub(crate) async fn status_line(&self, uri: Option<String>) -> StatusLine {
        let Some(uri) = uri.or_else(|| self.current_uri()) else { return off("no repository") };
        match self.place_of(&uri).await {
            Ok(Some(place)) => {
                let sessions = self.sessions_running_in(&place.worktree).await;
                line(&place, sessions)
            }
            Ok(None) => off("no repository"),
            Err(error) if error.kind == ErrorKind::Unavailable => off("no daemon"),
            Err(_) => off("no repository"),
        }
    }

    async fn sessions_running_in(&self, worktree: &Worktree) -> u32 {
        let params = SessionListParams {
            status: Some(SessionStatus::InProgress),
            worktree: Some(worktree.name.clone()),
            ..Default::default()
        };
        let Ok(list) = self.daemon.call::<SessionListMethod>(params).await else { return 0 };
        // Names are unique within one repository only.
        let here =
            list.sessions.iter().filter(|s| s.worktree_path.as_deref() == Some(worktree.path.as_str()));
        u32::try_from(here.count()).unwrap_or(u32::MAX)
    }
}

fn off(why: &str) -> StatusLine {
    StatusLine {
        state: StatusLineState::Off,
        text: format!("Podium: {why}"),
        worktree: None,
        agent_id: None,
        since: None,
        sessions: 0,
    }
}

fn line(place: &Place, sessions: u32) -> StatusLine {
    let (name, claim) = (&place.worktree.name, place.worktree.claim.as_ref());
    let holder = claim.map(to_holder).unwrap_or_default();
    let age = claim.map(|c| to_age(&c.since, jiff::Timestamp::now())).unwrap_or_default();
    let (state, text) = match place.standing {
        Standing::Free => (StatusLineState::Free, format!("{name}: free")),
        Standing::Mine => (StatusLineState::Mine, format!("{name}: mine ({age})")),
        Standing::Other => (StatusLineState::Other, format!("{name}: {holder}")),
        Standing::Dead => (StatusLineState::Dead, format!("{name}: {holder}, gone")),
    };
    StatusLine {
        state,
        text,
        worktree: Some(name.clone()),
        agent_id: claim.map(|c| c.agent_id.clone()),
        since: claim.map(|c| c.since.clone()),
        sessions,
    }
}
