//! The only place that starts git.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::environment::GitEnv;
use crate::error::{GitError, Result};
use crate::process::{self, Finished, Input, Limits, RunError, Watched};
use crate::redact::redact_urls;
use crate::version::GitVersion;

const READ_TIMEOUT: Duration = Duration::from_secs(60);
const CHANGE_TIMEOUT: Duration = Duration::from_secs(600);
/// Lists of paths in the largest repositories fit; a runaway does not.
const STDOUT_LIMIT: usize = 64 * 1024 * 1024;

/// An executable git of a sufficient version, with the variables its processes get. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Git {
    exe: Arc<Path>,
    env: Arc<GitEnv>,
    version: GitVersion,
}

impl Git {
    /// Finds git on the `PATH` of `env` and checks its version once.
    ///
    /// # Errors
    /// `GitNotFound`, `TooOld`, or whatever starting it gives.
    pub fn find(env: GitEnv) -> Result<Self> {
        let path = env.get("PATH").ok_or(GitError::GitNotFound)?;
        let exe = find_on_path(path).ok_or(GitError::GitNotFound)?;
        Self::at(exe, env)
    }

    /// As [`Git::find`], with a git at a known place.
    pub fn at(exe: PathBuf, env: GitEnv) -> Result<Self> {
        let mut git = Self { exe: exe.into(), env: env.into(), version: GitVersion::MINIMUM };
        let output = git.read().arg("--version").timeout(Duration::from_secs(20)).text()?;
        git.version = GitVersion::parse(&output).ok_or_else(|| GitError::Unexpected {
            command: "git --version".into(),
            detail: output.chars().take(80).collect(),
        })?;
        if git.version < GitVersion::MINIMUM {
            return Err(GitError::TooOld { found: git.version, needed: GitVersion::MINIMUM });
        }
        Ok(git)
    }

    /// The same git with other variables: those of the client that asks.
    pub fn with_env(&self, env: GitEnv) -> Self {
        Self { env: env.into(), ..self.clone() }
    }

    pub fn version(&self) -> GitVersion {
        self.version
    }

    pub(crate) fn var(&self, key: &str) -> Option<&OsStr> {
        self.env.get(key)
    }

    pub(crate) fn has_var(&self, key: &str) -> bool {
        self.env.get(key).is_some()
    }

    pub fn exe(&self) -> &Path {
        &self.exe
    }

    /// A command that only looks: takes no locks, runs no hooks, fetches nothing.
    pub fn read(&self) -> GitCommand {
        let mut command = GitCommand::new(self, READ_TIMEOUT);
        command.before("--no-optional-locks");
        command.config("core.hooksPath=/dev/null");
        command.env("GIT_NO_LAZY_FETCH", "1");
        command
    }

    /// A command that changes something; runs the user's hooks.
    pub fn change(&self) -> GitCommand {
        let mut command = GitCommand::new(self, CHANGE_TIMEOUT);
        command.identity = true;
        // Whoever asked for the change was judged by the claim's rules already.
        command.env("PODIUM_GUARD_PASS", "1");
        command
    }
}

fn find_on_path(path: &OsStr) -> Option<PathBuf> {
    let name = format!("git{}", std::env::consts::EXE_SUFFIX);
    // An empty or relative entry would mean the current folder, which may be a hostile repository.
    let folders = std::env::split_paths(path).filter(|folder| folder.is_absolute());
    folders.map(|folder| folder.join(&name)).find(|candidate| is_executable(candidate))
}

fn is_executable(path: &Path) -> bool {
    let Ok(metadata) = path.metadata() else { return false };
    #[cfg(unix)]
    let runnable = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o111 != 0;
    #[cfg(not(unix))]
    let runnable = true;
    metadata.is_file() && runnable
}

/// One invocation of git, built up and then run.
#[derive(Debug, Clone)]
pub struct GitCommand {
    git: Git,
    before: Vec<OsString>,
    args: Vec<OsString>,
    vars: Vec<(&'static str, OsString)>,
    folder: PathBuf,
    stdin: Input,
    timeout: Duration,
    stdout_limit: usize,
    identity: bool,
}

impl GitCommand {
    fn new(git: &Git, timeout: Duration) -> Self {
        let mut command = Self {
            git: git.clone(),
            before: Vec::new(),
            args: Vec::new(),
            vars: Vec::new(),
            folder: PathBuf::from(std::path::MAIN_SEPARATOR_STR),
            stdin: Input::Nothing,
            timeout,
            stdout_limit: STDOUT_LIMIT,
            identity: false,
        };
        // A repository may name a program here, which would run at every look at it.
        command.config("core.fsmonitor=false");
        command
    }

    fn before(&mut self, arg: impl Into<OsString>) {
        self.before.push(arg.into());
    }

    /// Sets a configuration value (`key=value`) for this invocation.
    pub fn config(&mut self, setting: impl Into<OsString>) -> &mut Self {
        self.before("-c");
        self.before(setting);
        self
    }

    pub fn arg(&mut self, arg: impl Into<OsString>) -> &mut Self {
        self.args.push(arg.into());
        self
    }

    pub fn args<A: Into<OsString>>(&mut self, args: impl IntoIterator<Item = A>) -> &mut Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// The repository, by the stored place of its git folder: no `.git` file is followed.
    pub fn git_dir(&mut self, git_dir: &Path) -> &mut Self {
        self.env("GIT_DIR", git_dir)
    }

    pub fn work_tree(&mut self, path: &Path) -> &mut Self {
        self.folder = path.to_owned();
        self.env("GIT_WORK_TREE", path)
    }

    pub fn folder(&mut self, folder: &Path) -> &mut Self {
        folder.clone_into(&mut self.folder);
        self
    }

    pub fn env(&mut self, key: &'static str, value: impl Into<OsString>) -> &mut Self {
        self.vars.push((key, value.into()));
        self
    }

    /// The user's hooks stay out.
    pub fn without_hooks(&mut self) -> &mut Self {
        self.config("core.hooksPath=/dev/null")
    }

    pub fn stdin(&mut self, bytes: impl Into<Vec<u8>>) -> &mut Self {
        self.stdin = Input::Bytes(bytes.into());
        self
    }

    /// What is too large for the memory.
    pub(crate) fn stdin_file(&mut self, path: &Path) -> &mut Self {
        self.stdin = Input::File(path.to_owned());
        self
    }

    pub fn timeout(&mut self, timeout: Duration) -> &mut Self {
        self.timeout = timeout;
        self
    }

    /// Most bytes of output that are accepted.
    pub fn stdout_limit(&mut self, bytes: usize) -> &mut Self {
        self.stdout_limit = bytes;
        self
    }

    /// Runs it and gives its output.
    ///
    /// # Errors
    /// `Failed` for any other exit than 0, `Timeout`, `OutputTooLarge`, `Spawn`.
    pub fn output(&self) -> Result<Vec<u8>> {
        match self.attempt()? {
            Outcome { code: Some(0), stdout, .. } => Ok(stdout),
            failed => Err(self.failure(&failed)),
        }
    }

    /// As [`GitCommand::output`], for output that is UTF-8 by nature; without the last newline.
    pub fn text(&self) -> Result<String> {
        let mut text = String::from_utf8_lossy(&self.output()?).into_owned();
        text.truncate(text.trim_end_matches('\n').len());
        Ok(text)
    }

    /// Runs it and leaves the judgement of the exit code to the caller.
    pub fn attempt(&self) -> Result<Outcome> {
        self.attempt_watched(None)
    }

    pub(crate) fn attempt_watched(&self, watched: Option<Watched>) -> Result<Outcome> {
        if !self.folder.is_dir() {
            return Err(GitError::NoSuchPath { path: self.folder.clone() });
        }
        let limits = Limits { timeout: self.timeout, stdout: self.stdout_limit };
        let Finished { status, stdout, stderr } =
            process::run(self.build(), self.stdin.clone(), &limits, watched).map_err(
                |error| match error {
                    RunError::Spawn(source) => GitError::Spawn { command: self.describe(), source },
                    RunError::Timeout => GitError::Timeout { command: self.describe(), after: self.timeout },
                    RunError::Stopped => GitError::Stopped { command: self.describe() },
                    RunError::TooLarge => {
                        GitError::OutputTooLarge { command: self.describe(), limit: self.stdout_limit }
                    }
                },
            )?;
        let stderr = redact_urls(String::from_utf8_lossy(&stderr).trim_end());
        Ok(Outcome { code: status.code(), stdout, stderr })
    }

    pub(crate) fn failure(&self, outcome: &Outcome) -> GitError {
        let stderr = outcome.stderr.clone();
        GitError::Failed { command: self.describe(), code: outcome.code, stderr }
    }

    pub(crate) fn unexpected(&self, detail: impl Into<String>) -> GitError {
        GitError::Unexpected { command: self.describe(), detail: detail.into() }
    }

    fn build(&self) -> Command {
        let mut command = Command::new(&*self.git.exe);
        command.env_clear().envs(self.git.env.for_process(self.identity));
        command.env("LANG", "C.UTF-8").env("LC_ALL", "C.UTF-8");
        // Nothing may ask a question: nobody would see it.
        command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_ASKPASS", "");
        command.env("SSH_ASKPASS", "false").env("SSH_ASKPASS_REQUIRE", "force");
        command.env("GIT_EDITOR", "false").env("GIT_PAGER", "cat");
        command.envs(self.vars.iter().map(|(key, value)| (key, value)));
        command.current_dir(&self.folder).args(&self.before).args(&self.args);
        command
    }

    /// For messages: the arguments without our own settings and without credentials.
    fn describe(&self) -> String {
        let words = self.args.iter().map(|arg| arg.to_string_lossy());
        let line = words.fold(String::from("git"), |line, word| line + " " + &word);
        redact_urls(&line.chars().take(300).collect::<String>())
    }
}

/// How a git process ended.
#[derive(Debug)]
pub struct Outcome {
    /// `None` when a signal ended it.
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    /// Bounded and without credentials in URLs.
    pub stderr: String,
}
