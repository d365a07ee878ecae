use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs::File,
    process::Stdio,
};

use crate::{ProcessError, ProcessIdentity, command::spawn_error};

/// A daemon to be started: in a session of its own, folder `/`, standard streams closed (`/dev/null`), only the
/// environment given here, no inherited descriptor. It outlives this process.
#[derive(Debug)]
pub struct Detached {
    program: OsString,
    args: Vec<OsString>,
    env: BTreeMap<OsString, OsString>,
    stdin: Option<Stdio>,
    stderr: Option<File>,
}

impl Detached {
    /// `program` should be an absolute path: the folder is `/`.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: BTreeMap::new(),
            stdin: None,
            stderr: None,
        }
    }

    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub fn envs<K: AsRef<OsStr>, V: AsRef<OsStr>>(mut self, pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        self.env.extend(
            pairs.into_iter().map(|(key, value)| (key.as_ref().to_owned(), value.as_ref().to_owned())),
        );
        self
    }

    /// What it reads, in place of `/dev/null`: what nobody else may see can be handed over this way.
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.stdin = Some(stdin.into());
        self
    }

    /// A file that gets what the daemon writes before its log is open, such as a panic.
    pub fn stderr(mut self, file: File) -> Self {
        self.stderr = Some(file);
        self
    }

    /// Starts the daemon. While this process lives, a thread waits for the daemon so that it never stays a zombie.
    ///
    /// # Errors
    /// [`ProcessError::NotFound`], [`ProcessError::Spawn`], or [`ProcessError::NoSuchProcess`] if it ended at once.
    pub fn spawn(self) -> Result<ProcessIdentity, ProcessError> {
        let name = self.program.to_string_lossy().into_owned();
        let mut command = std::process::Command::new(&self.program);
        command.args(&self.args).env_clear().envs(&self.env).stdout(Stdio::null());
        command.stdin(self.stdin.unwrap_or_else(Stdio::null));
        command.stderr(self.stderr.map_or_else(Stdio::null, Stdio::from));
        detach(&mut command);
        let mut child = command.spawn().map_err(|source| spawn_error(&name, source))?;
        let identity = ProcessIdentity::of(child.id());
        std::thread::Builder::new()
            .name("daemon-reaper".into())
            .spawn(move || drop(child.wait()))
            .map_err(|source| ProcessError::Spawn { program: name, source })?;
        identity
    }
}

#[cfg(unix)]
fn detach(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt;

    use crate::command::child_side::{close_on_exec_from_3, new_session};

    command.current_dir("/");
    // SAFETY: only system calls between fork and exec.
    unsafe {
        command.pre_exec(|| {
            new_session()?;
            close_on_exec_from_3()
        });
    }
}

#[cfg(windows)]
fn detach(command: &mut std::process::Command) {
    use std::os::windows::process::CommandExt;

    const DETACHED_PROCESS: u32 = 0x0000_0008;
    const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;
    command.creation_flags(DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP);
}
