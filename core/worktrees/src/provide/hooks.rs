//! Commands of the project's configuration that run at certain moments, once a person has allowed what they run.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use podium_process::{Command, Ended};
use podium_protocol::{HookApproveParams, HookInfo, HookList, HookListParams, WireError};
use podium_store::rusqlite::{OptionalExtension, params};
use podium_store::{Durability, NewEvent, Tx, rfc3339};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::error::{Result, blocking};
use crate::rows::WorktreeRow;
use crate::service::{RepoHandle, Worktrees};
use crate::settings::Caller;

/// Output that is kept of each stream, in bytes; the middle of more is dropped.
const KEPT: usize = 64 * 1024;
/// Of it, this much is told in events and errors.
const TOLD: usize = 400;
/// Largest file of the project that belongs to what was approved.
const LARGEST_SCRIPT: u64 = 1024 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hook {
    PreCreate,
    PostCreate,
    PreRemove,
    PostSwitch,
}

impl Hook {
    const ALL: [Self; 4] = [Self::PreCreate, Self::PostCreate, Self::PreRemove, Self::PostSwitch];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PreCreate => "pre-create",
            Self::PostCreate => "post-create",
            Self::PreRemove => "pre-remove",
            Self::PostSwitch => "post-switch",
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::PreCreate => "hooks.pre-create",
            Self::PostCreate => "hooks.post-create",
            Self::PreRemove => "hooks.pre-remove",
            Self::PostSwitch => "hooks.post-switch",
        }
    }

    fn command(self, handle: &RepoHandle) -> Option<String> {
        let command = handle.config().text(self.key()).trim().to_owned();
        (!command.is_empty()).then_some(command)
    }
}

/// A hook that ran, for whoever keeps its output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookRan {
    pub hook: &'static str,
    /// Name of the worktree.
    pub worktree: String,
    pub path: PathBuf,
    pub command: String,
    /// Both streams, without the middle where they were long.
    pub output: String,
    pub succeeded: bool,
}

/// Keeps the output of hooks; gives the id under which it is found.
pub type HookOutput =
    Arc<dyn Fn(HookRan) -> std::pin::Pin<Box<dyn Future<Output = Option<String>> + Send>> + Send + Sync>;

/// How a hook went.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Nothing,
    /// Not approved: what to tell the person.
    Skipped(String),
    Done,
    Failed(String),
}

impl Outcome {
    /// Whether anything was started.
    pub(crate) fn ran(&self) -> bool {
        matches!(self, Self::Done | Self::Failed(_))
    }

    pub(crate) fn note(self) -> Option<String> {
        match self {
            Self::Nothing | Self::Done => None,
            Self::Skipped(note) | Self::Failed(note) => Some(note),
        }
    }

    /// A hook that runs before something can prevent it; one that was not approved cannot.
    pub(crate) fn or_refuse(self) -> Result<Option<String>> {
        match self {
            Self::Failed(text) => Err(WireError::conflict(text)
                .hint("mend the hook, or take it out of the project's configuration")
                .into()),
            other => Ok(other.note()),
        }
    }
}

impl Worktrees {
    /// The hooks of a repository as they would run in the folder that the selector names.
    ///
    /// # Errors
    /// As [`Worktrees::register`].
    pub async fn hooks(&self, params: HookListParams, caller: &Caller) -> Result<HookList, WireError> {
        let handle = self.repo_at(&params.at, caller).await?;
        Ok(HookList { hooks: self.hooks_of(&handle).await? })
    }

    /// Lets hooks run from now on, as long as command and scripts stay the same.
    ///
    /// # Errors
    /// `NotFound` for a hook that is not configured, `Conflict` when it is not what the person has read.
    pub async fn approve_hooks(
        &self,
        params: HookApproveParams,
        caller: &Caller,
    ) -> Result<HookList, WireError> {
        if caller.agent.is_some() {
            return Err(WireError::user("an agent may not approve hooks"));
        }
        let handle = self.repo_at(&params.at, caller).await?;
        let mut hooks = self.hooks_of(&handle).await?;
        hooks.retain(|hook| params.hook.as_ref().is_none_or(|wanted| *wanted == hook.hook));
        if hooks.is_empty() {
            let error = WireError::not_found("no such hook is configured");
            return Err(error.hint("hooks are set in the project's .podium/config.toml, section [hooks]"));
        }
        if let Some(read) = &params.hash
            && let Some(other) = hooks.iter().find(|hook| !hook.hash.starts_with(read.as_str()))
        {
            let error = WireError::conflict(format!("`{}` runs something else by now", other.hook));
            return Err(error.hint("read it again: `imi hooks list`"));
        }
        let (repo, by) = (handle.row.id.clone(), caller.name().to_owned());
        let write = move |tx: &Tx<'_>| -> Result<()> {
            let sql = "INSERT INTO hook_approvals (repo, hash, hook, command, approved_by, approved_at)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (repo, hash) DO NOTHING";
            for hook in &hooks {
                tx.execute(sql, params![repo, hook.hash, hook.hook, hook.command, by, tx.now])?;
                let data = json!({ "repo": repo, "hook": hook.hook, "hash": hook.hash, "by": by });
                tx.emit(&NewEvent::new("hook.approved", format!("repo/{repo}"), data))?;
            }
            Ok(())
        };
        let written: Result<()> = self.inner.store.write(Durability::Power, write).await;
        written?;
        Ok(HookList { hooks: self.hooks_of(&handle).await? })
    }

    async fn hooks_of(&self, handle: &Arc<RepoHandle>) -> Result<Vec<HookInfo>> {
        let (this, asked) = (self.clone(), handle.clone());
        let found = blocking(move || {
            this.refresh_config(&asked);
            let configured = Hook::ALL.into_iter().filter_map(|hook| Some((hook, hook.command(&asked)?)));
            Ok(configured
                .map(|(hook, command)| (hook, hash(&asked.row.root, &command), command))
                .collect::<Vec<_>>())
        });
        let mut hooks = Vec::new();
        for (hook, hash, command) in found.await? {
            let approval = self.approval(&handle.row.id, &hash).await?;
            let (approved_by, approved_at) = approval.clone().unzip();
            let approved_at = approved_at.map(rfc3339);
            let (hook, approved) = (hook.name().to_owned(), approval.is_some());
            hooks.push(HookInfo { hook, command, hash, approved, approved_by, approved_at });
        }
        Ok(hooks)
    }

    async fn approval(&self, repo: &str, hash: &str) -> Result<Option<(String, i64)>> {
        let (repo, hash) = (repo.to_owned(), hash.to_owned());
        let read = move |conn: &podium_store::rusqlite::Connection| -> Result<_> {
            let sql = "SELECT approved_by, approved_at FROM hook_approvals WHERE repo = ?1 AND hash = ?2";
            let mut statement = conn.prepare_cached(sql)?;
            Ok(statement.query_row([&repo, &hash], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
        };
        self.inner.store.read(read).await
    }

    /// Runs a hook in `folder`, for this worktree. Whatever goes wrong is an outcome.
    pub(crate) async fn run_hook(
        &self,
        hook: Hook,
        handle: &Arc<RepoHandle>,
        folder: &Path,
        name: &str,
        row: Option<&WorktreeRow>,
        caller: &Caller,
    ) -> Outcome {
        let Some(command) = hook.command(handle) else { return Outcome::Nothing };
        let (at, text) = (folder.to_owned(), command.clone());
        let Ok(hash) = blocking(move || Ok(hash(&at, &text))).await else { return Outcome::Nothing };
        match self.approval(&handle.row.id, &hash).await {
            Ok(Some(_)) => {}
            Ok(None) => {
                return Outcome::Skipped(format!(
                    "hook {} was skipped: nobody approved `{}` yet (`imi hooks approve {}`)",
                    hook.name(),
                    told(&command),
                    hook.name()
                ));
            }
            Err(error) => return Outcome::Failed(format!("hook {}: {error}", hook.name())),
        }
        let mut variables = match row {
            Some(row) => self.variables_of(row).await,
            None => vec![("PODIUM_WORKTREE".to_owned(), name.to_owned())],
        };
        variables.push(("PODIUM_HOOK".to_owned(), hook.name().to_owned()));
        variables.push(("PODIUM_REPO".to_owned(), handle.row.root.to_string_lossy().into_owned()));
        let timeout = handle.config().seconds("hooks.timeout_seconds").unwrap_or(Duration::from_secs(300));
        let child = Command::new("/bin/sh").args(["-c", command.as_str()]).cwd(folder);
        let child = child.envs(self.inner.settings.env.iter()).envs(caller.env.iter()).envs(variables);
        let ran = child.capture(KEPT).timeout(timeout).output(&CancellationToken::new()).await;
        let (succeeded, output) = match ran {
            Ok(output) => {
                let text = format!("{}{}", output.stdout.text(), output.stderr.text());
                let late = (output.ended != Ended::ByItself)
                    .then(|| format!("\nended after {} s with all it had started\n", timeout.as_secs()));
                (output.success(), text + late.as_deref().unwrap_or_default())
            }
            Err(error) => (false, format!("it could not be started: {error}\n")),
        };
        let ran = HookRan {
            hook: hook.name(),
            worktree: name.to_owned(),
            path: folder.to_owned(),
            command,
            output,
            succeeded,
        };
        self.keep(handle, ran, row).await
    }

    async fn keep(&self, handle: &RepoHandle, ran: HookRan, row: Option<&WorktreeRow>) -> Outcome {
        let artifact = match &self.inner.settings.hook_output {
            Some(keep) => keep(ran.clone()).await,
            None => None,
        };
        let tail = told_end(&ran.output);
        let outcome = match ran.succeeded {
            true => Outcome::Done,
            false => Outcome::Failed(format!("hook {} failed: {tail}", ran.hook)),
        };
        let subject = row.map_or_else(|| format!("repo/{}", handle.row.id), WorktreeRow::subject);
        let data = json!({
            "hook": ran.hook,
            "worktree": row.map(|row| &row.id),
            "name": ran.worktree,
            "succeeded": ran.succeeded,
            "artifact": artifact,
        });
        let write = move |tx: &Tx<'_>| -> Result<()> {
            tx.emit(&NewEvent::new("hook.ran", subject, data))?;
            Ok(())
        };
        let noted: Result<()> = self.inner.store.write(Durability::Process, write).await;
        if let Err(error) = noted {
            tracing::warn!(%error, "that a hook ran was not recorded");
        }
        outcome
    }
}

/// Of the command, and of the project's files that it names by relative paths, as they are in the folder it runs in.
fn hash(folder: &Path, command: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(command.as_bytes());
    for word in command.split(|c: char| c.is_whitespace() || "\"'();&|<>".contains(c)) {
        let path = Path::new(word);
        let inside = !word.is_empty()
            && path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        let file = folder.join(path);
        let small = || file.metadata().is_ok_and(|data| data.is_file() && data.len() <= LARGEST_SCRIPT);
        if inside
            && small()
            && let Ok(content) = std::fs::read(&file)
        {
            hasher
                .update(b"\0")
                .update(word.as_bytes())
                .update(b"\0")
                .update(blake3::hash(&content).as_bytes());
        }
    }
    hasher.finalize().to_hex().to_string()
}

fn told(text: &str) -> String {
    text.chars().take(TOLD).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn told_end(text: &str) -> String {
    let text = text.trim();
    let skip = text.chars().count().saturating_sub(TOLD);
    text.chars().skip(skip).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_follows_command_and_script() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("setup.sh");
        std::fs::write(&script, "echo one").unwrap();
        let first = hash(dir.path(), "sh ./setup.sh");
        assert_eq!(first, hash(dir.path(), "sh ./setup.sh"));
        assert_ne!(first, hash(dir.path(), "sh ./setup.sh x"));
        std::fs::write(&script, "echo two").unwrap();
        assert_ne!(first, hash(dir.path(), "sh ./setup.sh"));
    }
}
