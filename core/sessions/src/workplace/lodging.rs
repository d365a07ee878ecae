//! All that it takes to start a program confined, by whoever starts it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use podium_process::Limits;
use podium_process::sandbox::{Mechanism, SandboxPolicy};
use rustix::fs::{Mode, OFlags, mkdirat, openat, readlinkat, symlinkat};
use rustix::io::Errno;

use super::opening::Confine;
use super::{Approval, CommandOptions, Workplace, WorkplaceError, environment, policy};
use crate::Env;

/// How a program is started.
#[derive(Debug, Clone)]
pub struct Lodging {
    pub policy: SandboxPolicy,
    pub mechanism: Mechanism,
    /// All of its variables.
    pub env: Vec<(OsString, OsString)>,
    pub cwd: PathBuf,
    /// Who approved of it where nothing confines it.
    pub approval: Option<Approval>,
}

impl Lodging {
    pub fn limits(&self) -> Limits {
        self.policy.limits.clone()
    }
}

impl Workplace {
    /// For a program that somebody else starts. Blocks as [`Workplace::command`].
    ///
    /// # Errors
    /// As [`Workplace::command`].
    pub fn lodging(&self, options: &CommandOptions) -> Result<Lodging, WorkplaceError> {
        let cwd = self.folder(&options.folder)?;
        let (policy, mut env) = self.rules(options)?;
        env.extend(options.env.iter().cloned());
        Ok(Lodging { policy, mechanism: self.mechanism(), env, cwd, approval: self.approval().cloned() })
    }
}

/// For a session that works in no worktree: a home of its own, and nothing of the user's.
#[derive(Debug, Clone)]
pub struct Alone<'a> {
    /// As [`super::Opening::folder`].
    pub folder: &'a Path,
    pub confine: &'a Confine,
    pub agent: &'a str,
    pub env: &'a Env,
}

impl Alone<'_> {
    /// # Errors
    /// `Unconfined` where nothing works and nobody approved of that; those of the disk.
    pub fn lodging(&self) -> Result<Lodging, WorkplaceError> {
        let Self { folder, confine, .. } = *self;
        let mechanism = super::choose(confine)?;
        let (home, temporary) = (folder.join("home"), folder.join("tmp"));
        for folder in [&home, &temporary] {
            super::make_private(folder)?;
        }
        link_all(&home, confine, self.env)?;
        let mut policy = policy::base(confine, self.env);
        policy.read_write.extend([home.clone(), temporary.clone()]);
        policy::add_socket(&mut policy, confine, mechanism);
        let socket = match policy::fits(&policy, mechanism) {
            Err(error) if policy.sockets.is_empty() => return Err(error.into()),
            Err(_) => {
                policy.sockets.clear();
                false
            }
            Ok(()) => true,
        };
        let seen = environment::Seen { home: &home, temporary: &temporary, tree: None, socket };
        let env = environment::plain(confine, self.env, self.agent, &seen);
        let approval = confine.unsandboxed.clone().filter(|_| mechanism == Mechanism::None);
        Ok(Lodging { policy, mechanism, env, cwd: home, approval })
    }
}

/// What an agent gets of the user's home lies at the same place of its own.
pub(super) fn link_all(home: &Path, confine: &Confine, env: &Env) -> Result<(), WorkplaceError> {
    let Some(users) = env.get("HOME").map(Path::new) else { return Ok(()) };
    for path in &confine.linked {
        let Ok(below) = path.strip_prefix(users) else { continue };
        match link(home, below, path) {
            Ok(()) => {}
            // Something else lies there by now, which the agent made.
            Err(Errno::EXIST | Errno::LOOP | Errno::NOTDIR) => {
                tracing::info!(path = %path.display(), "an agent has something of its own in place of a folder it is given");
            }
            Err(errno) => return Err(WorkplaceError::io(path, errno.into())),
        }
    }
    Ok(())
}

/// The agent can have put links anywhere in its home: none is followed.
fn link(home: &Path, below: &Path, target: &Path) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut folder = rustix::fs::open(home, flags, Mode::empty())?;
    let Some(name) = below.file_name() else { return Ok(()) };
    for part in below.parent().unwrap_or(Path::new("")) {
        match mkdirat(&folder, part, Mode::from_raw_mode(0o700)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        folder = openat(&folder, part, flags, Mode::empty())?;
    }
    if readlinkat(&folder, name, Vec::new())
        .is_ok_and(|to| to.as_bytes() == target.as_os_str().as_encoded_bytes())
    {
        return Ok(());
    }
    symlinkat(target, &folder, name)
}

/// Deletes what a session kept, but for its agent's home where `keep_home`.
pub(super) fn remove(folder: &Path, keep_home: bool) -> Result<(), WorkplaceError> {
    let gone = |path: &Path, done: std::io::Result<()>| match done {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(WorkplaceError::io(path, error)),
        _ => Ok(()),
    };
    let home = folder.join("home");
    let lived_in = || fs::read_dir(&home).is_ok_and(|mut entries| entries.next().is_some());
    if !keep_home || !lived_in() {
        return gone(folder, fs::remove_dir_all(folder));
    }
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| *path != home) {
        let is_folder = path.symlink_metadata().is_ok_and(|data| data.is_dir());
        gone(&path, if is_folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_of_the_agent_leads_ours_nowhere_else() {
        let root = tempfile::tempdir().unwrap();
        let (home, outside) = (root.path().join("home"), root.path().join("outside"));
        fs::create_dir_all(&home).unwrap();
        fs::create_dir_all(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, home.join(".config")).unwrap();
        let target = Path::new("/etc");
        assert!(link(&home, Path::new(".config/tool"), target).is_err());
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
        for _ in 0..2 {
            link(&home, Path::new(".local/share/tool"), target).unwrap();
        }
        assert_eq!(fs::read_link(home.join(".local/share/tool")).unwrap(), target);
        assert_eq!(link(&home, Path::new(".local/share"), target), Err(Errno::EXIST));
    }

    #[test]
    fn a_home_that_nobody_lived_in_goes_with_the_rest() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("s");
        fs::create_dir_all(folder.join("home")).unwrap();
        fs::create_dir_all(folder.join("private/git")).unwrap();
        fs::write(folder.join("exclude"), "").unwrap();
        fs::write(folder.join("home/kept"), "").unwrap();
        remove(&folder, true).unwrap();
        let left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["home"]);
        fs::remove_file(folder.join("home/kept")).unwrap();
        remove(&folder, true).unwrap();
        assert!(!folder.exists());
        remove(&folder, false).unwrap();
    }
}
