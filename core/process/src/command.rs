use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use crate::{Child, Limits, Output, ProcessError, group::ProcessGroup, spawner};

/// What [`Command::inherit_env`] takes from the calling process: nothing that could hold a secret or redirect git.
pub const INHERITED_ENV: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LC_MESSAGES",
    "TZ",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "SystemRoot",
    "USERPROFILE",
    "TEMP",
    "TMP",
    "PATHEXT",
];

/// Bytes of each stream kept by [`Command::output`] unless told otherwise.
const DEFAULT_CAPTURE: usize = 1024 * 1024;
const DEFAULT_GRACE: Duration = Duration::from_secs(2);

/// Where a child reads from.
#[derive(Debug, Default)]
pub enum Stdin {
    #[default]
    Null,
    /// For [`Command::spawn`]: `Child::stdin` is the writing end.
    Piped,
    /// For [`Command::output`]: written while output is read.
    Bytes(Vec<u8>),
    /// A file, or the output of another child.
    From(Stdio),
}

/// Where a child writes to.
#[derive(Debug, Default)]
pub enum Stdout {
    /// Captured by [`Command::output`], `Child::stdout` after [`Command::spawn`].
    #[default]
    Piped,
    Null,
    To(Stdio),
}

/// A child to be run: with an empty environment, `/` as its folder and nothing to read, unless told otherwise. It leads a
/// session of its own, inherits no file descriptor but those handed over by [`Command::inherit_fd`], and dies with this
/// process (on Linux).
#[derive(Debug)]
pub struct Command {
    pub(crate) program: OsString,
    pub(crate) args: Vec<OsString>,
    pub(crate) env: BTreeMap<OsString, OsString>,
    pub(crate) cwd: PathBuf,
    pub(crate) stdin: Stdin,
    pub(crate) stdout: Stdout,
    pub(crate) stderr: Stdout,
    pub(crate) capture: usize,
    pub(crate) timeout: Option<Duration>,
    pub(crate) grace: Duration,
    pub(crate) limits: Limits,
    pub(crate) ask_leader: bool,
    #[cfg(unix)]
    pub(crate) fds: Vec<std::os::fd::OwnedFd>,
    pub(crate) confinement: crate::sandbox::Confinement,
    /// Name for errors, kept when a sandbox becomes the program.
    pub(crate) name: String,
}

impl Command {
    /// `program` is looked up in the `PATH` given to the child.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let program = program.as_ref().to_owned();
        Self {
            name: program.to_string_lossy().into_owned(),
            program,
            args: Vec::new(),
            env: BTreeMap::new(),
            cwd: PathBuf::from("/"),
            stdin: Stdin::default(),
            stdout: Stdout::default(),
            stderr: Stdout::default(),
            capture: DEFAULT_CAPTURE,
            timeout: None,
            grace: DEFAULT_GRACE,
            limits: Limits::default(),
            ask_leader: true,
            #[cfg(unix)]
            fds: Vec::new(),
            confinement: Default::default(),
        }
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.insert(key.as_ref().to_owned(), value.as_ref().to_owned());
        self
    }

    pub fn envs<K: AsRef<OsStr>, V: AsRef<OsStr>>(self, pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        pairs.into_iter().fold(self, |command, (key, value)| command.env(key, value))
    }

    /// Takes the variables of [`INHERITED_ENV`] that this process has and that are not set yet.
    pub fn inherit_env(mut self) -> Self {
        for key in INHERITED_ENV {
            if let Some(value) = std::env::var_os(key) {
                self.env.entry(key.into()).or_insert(value);
            }
        }
        self
    }

    pub fn cwd(mut self, folder: impl AsRef<Path>) -> Self {
        self.cwd = folder.as_ref().to_owned();
        self
    }

    pub fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    pub fn stdout(mut self, stdout: Stdout) -> Self {
        self.stdout = stdout;
        self
    }

    pub fn stderr(mut self, stderr: Stdout) -> Self {
        self.stderr = stderr;
        self
    }

    /// Bytes kept of stdout and of stderr each (default 1 MiB); the middle of longer output is dropped.
    pub fn capture(mut self, bytes: usize) -> Self {
        self.capture = bytes;
        self
    }

    /// After this time [`Command::output`] ends the child. Default: none.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Time between SIGTERM and SIGKILL (default 2 s).
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Keeps `fd` open in the child, under the number returned (tell the child by argument or variable).
    #[cfg(unix)]
    pub fn inherit_fd(&mut self, fd: std::os::fd::OwnedFd) -> std::os::fd::RawFd {
        use std::os::fd::AsRawFd;
        let number = fd.as_raw_fd();
        self.fds.push(fd);
        number
    }

    /// Starts the child. Must be called within a tokio runtime. Timeout and capture limit do not apply.
    ///
    /// # Errors
    /// [`ProcessError::NotFound`], [`ProcessError::NoWorkingDirectory`] or [`ProcessError::Spawn`].
    pub fn spawn(mut self) -> Result<Child, ProcessError> {
        if !self.cwd.is_dir() {
            return Err(ProcessError::NoWorkingDirectory { path: self.cwd });
        }
        let confinement = std::mem::take(&mut self.confinement);
        let (name, grace, ask_leader) = (self.name.clone(), self.grace, self.ask_leader);
        let (std_command, kept) = self.into_std(&confinement);
        let runtime = tokio::runtime::Handle::current();
        let inner = spawner::run(move || {
            let _entered = runtime.enter();
            let _kept = kept;
            let mut command = tokio::process::Command::from(std_command);
            command.kill_on_drop(true).spawn()
        })
        .map_err(|source| spawn_error(&name, source))?;
        let group = ProcessGroup::new(inner.id().unwrap_or_default(), ask_leader);
        Child::new(inner, group, name, grace, confinement.into_scratch())
    }

    /// Runs the child to its end, by itself, by timeout or by `cancel`. Dropping the future kills the child too.
    ///
    /// # Errors
    /// As [`Command::spawn`], and [`ProcessError::Wait`]. A child that fails is not an error.
    pub async fn output(mut self, cancel: &CancellationToken) -> Result<Output, ProcessError> {
        let input = match std::mem::take(&mut self.stdin) {
            Stdin::Bytes(bytes) => {
                self.stdin = Stdin::Piped;
                Some(bytes)
            }
            other => {
                self.stdin = other;
                None
            }
        };
        let (timeout, capture) = (self.timeout, self.capture);
        self.spawn()?.into_output(input, capture, timeout, cancel).await
    }

    /// [`Command::output`] for callers without a runtime; from within one it blocks the calling thread as well.
    ///
    /// # Errors
    /// As [`Command::output`], and [`ProcessError::Runtime`].
    pub fn output_blocking(self) -> Result<Output, ProcessError> {
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(ProcessError::Runtime)?;
            runtime.block_on(self.output(&CancellationToken::new()))
        };
        if tokio::runtime::Handle::try_current().is_err() {
            return run();
        }
        // A runtime can not be entered twice by one thread.
        std::thread::spawn(run)
            .join()
            .unwrap_or_else(|_| Err(ProcessError::Runtime(io::Error::other("the waiting thread panicked"))))
    }

    fn into_std(self, confinement: &crate::sandbox::Confinement) -> (std::process::Command, KeptOpen) {
        let mut command = std::process::Command::new(&self.program);
        command.args(&self.args).env_clear().envs(&self.env).current_dir(&self.cwd);
        command.stdin(match self.stdin {
            Stdin::Null => Stdio::null(),
            Stdin::Piped | Stdin::Bytes(_) => Stdio::piped(),
            Stdin::From(stdio) => stdio,
        });
        command.stdout(self.stdout.into_stdio()).stderr(self.stderr.into_stdio());
        #[cfg(unix)]
        {
            let fds = self.fds.iter().map(std::os::fd::AsRawFd::as_raw_fd).collect();
            child_side::prepare(&mut command, &self.limits, fds, confinement);
            (command, self.fds)
        }
        #[cfg(not(unix))]
        {
            let _ = confinement;
            (command, ())
        }
    }
}

/// Descriptors that must stay open until the child has been started.
#[cfg(unix)]
type KeptOpen = Vec<std::os::fd::OwnedFd>;
#[cfg(not(unix))]
type KeptOpen = ();

impl Stdout {
    fn into_stdio(self) -> Stdio {
        match self {
            Self::Piped => Stdio::piped(),
            Self::Null => Stdio::null(),
            Self::To(stdio) => stdio,
        }
    }
}

pub(crate) fn spawn_error(program: &str, source: io::Error) -> ProcessError {
    let program = program.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => ProcessError::NotFound { program },
        _ => ProcessError::Spawn { program, source },
    }
}

#[cfg(unix)]
pub(crate) mod child_side {
    use std::{io, os::fd::RawFd, os::unix::process::CommandExt};

    use crate::{Limits, limits::child_side::Prepared, sandbox::Confinement};

    /// Registers what the child does between fork and exec. All memory is allocated here, before the fork: in the child
    /// of a threaded process only async-signal-safe calls are allowed.
    pub(crate) fn prepare(
        command: &mut std::process::Command,
        limits: &Limits,
        fds: Vec<RawFd>,
        confinement: &Confinement,
    ) {
        let limits = Prepared::new(limits);
        let parent = std::process::id();
        let restrict = confinement.child_side();
        // SAFETY: the closure only makes system calls on values that exist already.
        unsafe {
            command.pre_exec(move || {
                new_session()?;
                die_with_parent(parent)?;
                limits.apply()?;
                close_on_exec_from_3()?;
                fds.iter().try_for_each(|fd| keep_open(*fd))?;
                restrict.apply()
            });
        }
    }

    /// Own session: own group, and no controlling terminal to push input into.
    pub(crate) fn new_session() -> io::Result<()> {
        // SAFETY: plain system call.
        check(unsafe { libc::setsid() })
    }

    #[cfg(target_os = "linux")]
    fn die_with_parent(parent: u32) -> io::Result<()> {
        // SAFETY: plain system calls.
        check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong) })?;
        // The parent may have died before the request above.
        let orphaned = unsafe { libc::getppid() } as u32 != parent;
        if orphaned { Err(io::Error::from_raw_os_error(libc::ESRCH)) } else { Ok(()) }
    }

    #[cfg(not(target_os = "linux"))]
    fn die_with_parent(_parent: u32) -> io::Result<()> {
        Ok(())
    }

    /// Libraries written in C open descriptors that would otherwise leak into every child.
    pub(crate) fn close_on_exec_from_3() -> io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            // SAFETY: plain system call. Kernels before 5.11 lack the flag and take the loop below.
            let done =
                unsafe { libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
            if done == 0 {
                return Ok(());
            }
        }
        const HIGHEST: libc::rlim_t = 65_536;
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: writes the local struct only.
        check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) })?;
        for fd in 3..limit.rlim_cur.min(HIGHEST) as RawFd {
            // SAFETY: fails harmlessly on numbers that are not open.
            unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
        Ok(())
    }

    fn keep_open(fd: RawFd) -> io::Result<()> {
        // SAFETY: `fd` is owned by the command, which outlives the fork.
        check(unsafe { libc::fcntl(fd, libc::F_SETFD, 0) })
    }

    pub(crate) fn check(result: libc::c_int) -> io::Result<()> {
        if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}
