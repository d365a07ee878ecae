//! Running a program of the environment: to its end, or as a stream of JSON lines.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{JsonLines, Poll, TestEnvironment};

/// A program to be run in an environment.
#[derive(Clone)]
pub struct Invocation<'a> {
    environment: &'a TestEnvironment,
    program: OsString,
    args: Vec<OsString>,
    folder: PathBuf,
    vars: Vec<(OsString, Option<OsString>)>,
    input: Vec<u8>,
    timeout: Duration,
}

/// How a program ended.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Exit code; `None` after a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub elapsed: Duration,
    command: String,
}

impl<'a> Invocation<'a> {
    pub(crate) fn new(environment: &'a TestEnvironment, program: impl Into<OsString>) -> Self {
        Self {
            environment,
            program: program.into(),
            args: Vec::new(),
            folder: environment.root().to_owned(),
            vars: Vec::new(),
            input: Vec::new(),
            timeout: Duration::from_secs(60),
        }
    }

    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Folder to run it in; the environment's root otherwise.
    #[must_use]
    pub fn within(mut self, folder: impl AsRef<Path>) -> Self {
        self.folder = folder.as_ref().to_owned();
        self
    }

    #[must_use]
    pub fn var(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.vars.push((name.into(), Some(value.as_ref().to_owned())));
        self
    }

    #[must_use]
    pub fn without_var(mut self, name: &str) -> Self {
        self.vars.push((name.into(), None));
        self
    }

    /// What it reads from standard input, which is empty otherwise.
    #[must_use]
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// Longest run; 60 s otherwise.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it cannot be started or takes too long.
    #[must_use]
    pub fn run(&self) -> Finished {
        self.finish(&[])
    }

    /// Runs it with `--json` and gives exit code and envelope.
    ///
    /// # Panics
    /// When it does not print exactly one JSON object.
    #[must_use]
    pub fn envelope(&self) -> (i32, Value) {
        let done = self.finish(&["--json"]);
        let envelope = serde_json::from_str::<Value>(&done.stdout)
            .unwrap_or_else(|e| panic!("{e}: `--json` prints one JSON object: {done:#?}"));
        assert!(envelope["success"].is_boolean(), "an envelope says whether it succeeded: {done:#?}");
        (done.code.unwrap_or(-1), envelope)
    }

    /// Runs it with `--json` and gives its `data`.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn data(&self) -> Value {
        let (code, mut envelope) = self.envelope();
        assert!(code == 0 && envelope["success"] == true, "{self}: exit {code}: {envelope:#}");
        envelope["data"].take()
    }

    /// Runs it for its effect.
    ///
    /// # Panics
    /// When it fails.
    pub fn ok(&self) {
        let _ = self.data();
    }

    /// Runs it with `--json`, expects it to fail with this exit code, and gives its `error`.
    ///
    /// # Panics
    /// When it ends otherwise, or its error has no kind or message.
    pub fn fails(&self, code: i32) -> Value {
        let (found, mut envelope) = self.envelope();
        assert!(
            found == code && envelope["success"] == false,
            "{self}: exit {found}, not {code}: {envelope:#}"
        );
        let error = envelope["error"].take();
        let told = |field: &str| error[field].as_str().is_some_and(|text| !text.is_empty());
        assert!(told("kind") && told("message") && error["hints"].is_array(), "{self}: {error:#}");
        error
    }

    /// Starts it with `--json` and reads one JSON object a line.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn lines(&self) -> JsonLines {
        let mut command = self.command(&["--json"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        JsonLines::new(self.start(command), self.to_string())
    }

    /// Starts it and leaves the rest to the caller. Output goes nowhere unless `prepare` says otherwise.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn spawn(&self, prepare: impl FnOnce(&mut Command)) -> Child {
        let mut command = self.command(&[]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        prepare(&mut command);
        self.start(command)
    }

    fn command(&self, first: &[&str]) -> Command {
        let mut command = Command::new(self.environment.find(&self.program));
        command.args(first).args(&self.args).current_dir(&self.folder).env_clear();
        command.envs(self.environment.vars());
        for (name, value) in &self.vars {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    fn start(&self, mut command: Command) -> Child {
        command.spawn().unwrap_or_else(|e| panic!("{self} cannot be started: {e}"))
    }

    fn finish(&self, first: &[&str]) -> Finished {
        let start = Instant::now();
        let mut command = self.command(first);
        let input = if self.input.is_empty() { Stdio::null() } else { Stdio::piped() };
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.start(command);
        if let Some(mut stdin) = child.stdin.take() {
            // A program that does not read its input ends without it.
            let _ = stdin.write_all(&self.input);
        }
        let stdout = read_to_end(child.stdout.take());
        let stderr = read_to_end(child.stderr.take());
        let ended =
            Poll::new(self.timeout).every(Duration::from_millis(3)).until(|| child.try_wait().ok().flatten());
        let Some(status) = ended else {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{self} did not end in {:?}: {}{}", self.timeout, text(stdout), text(stderr));
        };
        Finished {
            code: status.code(),
            stdout: text(stdout),
            stderr: text(stderr),
            elapsed: start.elapsed(),
            command: self.to_string(),
        }
    }
}

impl Finished {
    /// What it printed.
    ///
    /// # Panics
    /// When it failed.
    #[must_use]
    pub fn success(self) -> String {
        assert_eq!(self.code, Some(0), "`{}` failed: {self:#?}", self.command);
        self.stdout
    }
}

impl std::fmt::Display for Invocation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.program.to_string_lossy())?;
        self.args.iter().try_for_each(|arg| {
            let arg = arg.to_string_lossy();
            if arg.chars().count() > 60 { write!(f, " {:.60}…", arg) } else { write!(f, " {arg}") }
        })
    }
}

fn read_to_end(source: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut source) = source {
            let _ = source.read_to_end(&mut bytes);
        }
        bytes
    })
}

fn text(reader: JoinHandle<Vec<u8>>) -> String {
    String::from_utf8_lossy(&reader.join().unwrap_or_default()).into_owned()
}
