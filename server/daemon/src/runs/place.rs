//! Which worktree a task gets.

use std::sync::atomic::{AtomicBool, Ordering};

use podium_protocol::{
    ClaimAcquireParams, ClaimAcquired, ErrorKind, NewWorktree, RepoSelector, WireError, Worktree,
    WorktreeCreateParams, WorktreeListParams,
};
use podium_worktrees::Caller;

use super::Task;
use crate::state::Daemon;

/// Names that are tried before giving up.
const NAMES: u32 = 200;
/// Longest name that is made from a task, in characters.
const NAME: usize = 40;

/// Where a task is worked on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Choice {
    pub(crate) at: RepoSelector,
    /// The one of this name; else `new`; else one named after the task.
    pub(crate) worktree: Option<String>,
    pub(crate) new: Option<NewWorktree>,
    pub(crate) wait: Option<u32>,
    pub(crate) elsewhere: bool,
}

/// A worktree that is claimed for the task's session.
pub(super) struct Taken {
    pub(super) id: String,
    pub(super) repo: String,
    pub(super) name: String,
    pub(super) path: std::path::PathBuf,
    pub(super) branch: Option<String>,
    pub(super) token: u64,
    /// The agent held it before.
    pub(super) was_its_own: bool,
}

/// Says in `was_its_own` whether the agent held it before, as soon as that is known.
pub(super) async fn take(
    daemon: &Daemon,
    task: &Task,
    caller: &Caller,
    was_its_own: &AtomicBool,
) -> Result<Taken, WireError> {
    let choice = &task.choice;
    let taker = Taker { daemon, task, caller, was_its_own };
    let (name, of_its_own) = match (&choice.worktree, &choice.new) {
        (Some(name), _) => (name.clone(), None),
        (None, Some(new)) => (taker.make(new).await?.0, Some(new.clone())),
        (None, None) => return taker.fresh(&named_after(&task.text)).await,
    };
    match taker.claim(&name, choice.wait).await {
        Err(error) if error.kind == ErrorKind::Conflict && choice.elsewhere => {
            taker.elsewhere(&name, of_its_own).await
        }
        taken => taken,
    }
}

struct Taker<'a> {
    daemon: &'a Daemon,
    task: &'a Task,
    caller: &'a Caller,
    was_its_own: &'a AtomicBool,
}

impl Taker<'_> {
    /// Name of the worktree, and whether it was made now.
    async fn make(&self, new: &NewWorktree) -> Result<(String, bool), WireError> {
        let params = WorktreeCreateParams {
            at: self.task.choice.at.clone(),
            kind: Some(new.kind.clone()),
            name: Some(new.name.clone()),
            ..WorktreeCreateParams::default()
        };
        let made = self.daemon.worktrees.create(params, self.caller).await?;
        Ok((made.worktree.name, made.created))
    }

    async fn claim(&self, name: &str, wait: Option<u32>) -> Result<Taken, WireError> {
        let (at, worktrees) = (&self.task.choice.at, &self.daemon.worktrees);
        let params = ClaimAcquireParams {
            at: at.clone(),
            worktree: Some(name.to_owned()),
            agent_id: Some(self.task.agent_id.clone()),
            session: Some(self.task.id.clone()),
            wait,
            ..ClaimAcquireParams::default()
        };
        let ClaimAcquired { token, already, .. } = worktrees.acquire_alone(params, self.caller).await?;
        self.was_its_own.store(already, Ordering::Relaxed);
        let found = worktrees.resolve(at, Some(name), self.caller).await?;
        Ok(Taken {
            id: found.id,
            repo: found.repo_id,
            name: found.name,
            path: found.path,
            branch: found.branch,
            token,
            was_its_own: already,
        })
    }

    /// A worktree that nobody had before.
    async fn fresh(&self, wanted: &NewWorktree) -> Result<Taken, WireError> {
        for number in 1..=NAMES {
            let name = if number == 1 { wanted.name.clone() } else { format!("{}-{number}", wanted.name) };
            let (name, created) = self.make(&NewWorktree { name, ..wanted.clone() }).await?;
            if !created {
                continue;
            }
            match self.claim(&name, None).await {
                // Somebody was faster, who looked for a free one.
                Err(error) if error.kind == ErrorKind::Conflict => {}
                taken => return taken,
            }
        }
        let text = format!("there are {NAMES} worktrees like `{}` already", wanted.name);
        Err(WireError::conflict(text).hint("name another one with --new TYPE/NAME"))
    }

    /// One that is free and has no work of its own, else a new one.
    async fn elsewhere(&self, taken: &str, of_its_own: Option<NewWorktree>) -> Result<Taken, WireError> {
        let params = WorktreeListParams { at: self.task.choice.at.clone(), all: false };
        let listed = self.daemon.worktrees.list(params, self.caller).await?;
        for free in listed.worktrees.iter().filter(|worktree| is_unused(worktree)) {
            match self.claim(&free.name, None).await {
                Err(error) if error.kind == ErrorKind::Conflict => {}
                claimed => return claimed,
            }
        }
        let like = listed.worktrees.iter().find(|worktree| worktree.name == taken);
        let new = of_its_own.or_else(|| like.and_then(like_this));
        self.fresh(&new.unwrap_or_else(|| named_after(&self.task.text))).await
    }
}

/// Nobody has it, and its branch adds nothing to trunk.
fn is_unused(worktree: &Worktree) -> bool {
    let at_rest = worktree.status.as_ref().is_some_and(|status| !status.is_dirty() && status.ahead == 0);
    let plain = !worktree.trunk && worktree.pr.is_none() && worktree.branch.is_some();
    let known = !matches!(worktree.kind.as_str(), "trunk" | "review" | "other");
    plain && known && at_rest && worktree.claim.is_none()
}

fn like_this(worktree: &Worktree) -> Option<NewWorktree> {
    let name = worktree.name.strip_prefix(&format!("{}-", worktree.kind))?;
    (!worktree.trunk).then(|| NewWorktree { kind: worktree.kind.clone(), name: name.to_owned() })
}

/// A name of the task's first words.
fn named_after(task: &str) -> NewWorktree {
    let mut name = String::new();
    let words = task.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    for word in words.map(str::to_ascii_lowercase) {
        if !name.is_empty() && name.len() + 1 + word.len() > NAME {
            break;
        }
        if !name.is_empty() {
            name.push('-');
        }
        name.extend(word.chars().take(NAME));
    }
    if name.is_empty() {
        name.push_str("task");
    }
    NewWorktree { kind: "feat".to_owned(), name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worktree_is_named_after_the_first_words() {
        let name = |task: &str| named_after(task).name;
        assert_eq!(name("Add user auth!"), "add-user-auth");
        assert_eq!(name("task-123"), "task-123");
        assert_eq!(name("日本"), "task");
        assert!(name(&"word ".repeat(50)).len() <= NAME);
        assert_eq!(name(&"x".repeat(200)).len(), NAME);
    }
}
