//! A private machine for one test.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use podium_config::Home;
use serde_json::Value;
use tempfile::TempDir;

use crate::{Invocation, LspBuilder, Poll, RepoBuilder, TestRepo, binaries, process};

/// The default local model, which tests share with the user's cache so that it is fetched once.
pub const MODEL: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

/// Longest time a daemon gets to finish its writes after SIGTERM.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// A private `HOME`, `PODIUM_HOME` and git configuration, and nothing of the caller's environment.
///
/// Dropping it asks its daemon to end, and fails the test when one lives on, or when any process of it is left.
pub struct TestEnvironment {
    root: TempDir,
    home: Home,
    vars: BTreeMap<OsString, OsString>,
}

/// What a test wants to have otherwise.
#[derive(Default)]
pub struct EnvironmentBuilder {
    podium_home: Option<PathBuf>,
    models: Option<PathBuf>,
    vars: Vec<(OsString, OsString)>,
    settings: Vec<String>,
}

impl EnvironmentBuilder {
    /// `PODIUM_HOME`, relative to the environment's root; `p` otherwise.
    #[must_use]
    pub fn podium_home(mut self, path: impl Into<PathBuf>) -> Self {
        self.podium_home = Some(path.into());
        self
    }

    /// A model cache of its own, relative to the environment's root, instead of the user's.
    #[must_use]
    pub fn models(mut self, path: impl Into<PathBuf>) -> Self {
        self.models = Some(path.into());
        self
    }

    #[must_use]
    pub fn var(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.vars.push((name.into(), value.into()));
        self
    }

    /// A line of the user's configuration, such as `daemon.idle_exit_seconds = 1`: a daemon that is started on demand
    /// takes no settings from variables.
    #[must_use]
    pub fn setting(mut self, line: &str) -> Self {
        self.settings.push(line.to_owned());
        self
    }

    /// # Panics
    /// When the binaries are not built, or no temporary folder can be made.
    #[must_use]
    pub fn build(self) -> TestEnvironment {
        let root = tempfile::Builder::new()
            .prefix("pod")
            .tempdir()
            .unwrap_or_else(|e| panic!("no temporary folder can be made: {e}"));
        // Where the temporary folder is a link, git and the daemon would name its target instead.
        let place = fs::canonicalize(root.path()).unwrap_or_else(|_| root.path().to_owned());
        let user = place.join("home");
        make_folder(&user);
        let config = "[user]\n\tname = Ann\n\temail = ann@example.org\n[init]\n\tdefaultBranch = main\n\
                      [commit]\n\tgpgsign = false\n[protocol \"file\"]\n\tallow = always\n";
        fs::write(user.join(".gitconfig"), config).unwrap_or_else(|e| panic!("no git configuration: {e}"));
        let podium_home = place.join(self.podium_home.unwrap_or_else(|| "p".into()));
        let models = self.models.map_or_else(models_of_user, |path| place.join(path));
        let home = Home::new(podium_home, models);
        if !self.settings.is_empty() {
            make_folder(home.root());
            let text = self.settings.join("\n") + "\n";
            fs::write(home.config_file(), text).unwrap_or_else(|e| panic!("no configuration: {e}"));
        }
        let mut vars = base_vars(&user, &home);
        vars.extend(self.vars);
        TestEnvironment { root, home, vars }
    }
}

impl TestEnvironment {
    /// # Panics
    /// As [`EnvironmentBuilder::build`].
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    #[must_use]
    pub fn builder() -> EnvironmentBuilder {
        EnvironmentBuilder::default()
    }

    /// One with the local model in the user's cache; fetched, with the caller's own proxy and pip settings, where it
    /// is not there yet.
    ///
    /// # Panics
    /// When it cannot be fetched.
    #[must_use]
    pub fn with_model() -> Self {
        let environment = Self::new();
        if !environment.home.models().join(MODEL).is_file() {
            let mut fetch = environment.podium(["models", "fetch"]).timeout(Duration::from_secs(250));
            for (name, value) in std::env::vars_os() {
                if let Some(name) = name.to_str().filter(|name| !name.starts_with("PODIUM_")) {
                    fetch = fetch.var(name, value);
                }
            }
            fetch.ok();
        }
        environment
    }

    /// The folder that everything of this environment lies in.
    #[must_use]
    pub fn root(&self) -> &Path {
        // Made of the same canonical path as everything else.
        Path::new(self.vars.get(OsStr::new("HOME")).map_or(OsStr::new("/"), |home| home.as_os_str()))
            .parent()
            .unwrap_or_else(|| self.root.path())
    }

    /// Podium's home and the paths in it.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// All variables of its programs.
    #[must_use]
    pub fn vars(&self) -> &BTreeMap<OsString, OsString> {
        &self.vars
    }

    #[must_use]
    pub fn podium<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Invocation<'_> {
        self.program("podium").args(args)
    }

    #[must_use]
    pub fn imi<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Invocation<'_> {
        self.program("imi").args(args)
    }

    #[must_use]
    pub fn jelmore<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Invocation<'_> {
        self.program("jelmore").args(args)
    }

    #[must_use]
    pub fn bb<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Invocation<'_> {
        self.program("bb").args(args)
    }

    /// Any program: by its path, or by its name in the environment's `PATH`.
    #[must_use]
    pub fn program(&self, program: impl AsRef<OsStr>) -> Invocation<'_> {
        Invocation::new(self, program.as_ref())
    }

    /// Runs git; gives what it printed, without the last line's end.
    ///
    /// # Panics
    /// When it fails.
    pub fn git<S: AsRef<OsStr>>(&self, folder: &Path, args: impl IntoIterator<Item = S>) -> String {
        self.program("git").args(args).within(folder).run().success().trim_end().to_owned()
    }

    /// A clone with a bare origin, branch `main` and a few small files.
    #[must_use]
    pub fn repo(&self) -> TestRepo<'_> {
        RepoBuilder::new(self).build()
    }

    #[must_use]
    pub fn repo_builder(&self) -> RepoBuilder<'_> {
        RepoBuilder::new(self)
    }

    /// A language server whose window shows `folder`.
    #[must_use]
    pub fn lsp(&self, folder: impl AsRef<Path>) -> LspBuilder<'_> {
        LspBuilder::new(self, folder.as_ref())
    }

    /// Process id of the running daemon. Starts none.
    #[must_use]
    pub fn daemon_pid(&self) -> Option<u32> {
        let (code, envelope) = self.podium(["daemon", "status"]).envelope();
        (code == 0)
            .then(|| envelope["data"]["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()))
            .flatten()
    }

    /// Starts a daemon where none runs; gives its process id.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_daemon(&self) -> u32 {
        self.podium(["daemon"]).ok();
        self.daemon_pid().unwrap_or_else(|| panic!("a daemon runs after `podium daemon`"))
    }

    /// SIGKILL of the daemon, and waits until it is gone; gives the process id it had.
    ///
    /// # Panics
    /// When none runs.
    pub fn kill_daemon(&self) -> u32 {
        let pid = self.daemon_pid().unwrap_or_else(|| panic!("no daemon to kill"));
        process::kill(pid);
        pid
    }

    /// Daemons of this home, also those that nobody could connect to.
    #[must_use]
    pub fn daemons(&self) -> Vec<u32> {
        self.processes()
            .into_iter()
            .filter(|pid| process::command_line(*pid).contains(" daemon --foreground"))
            .collect()
    }

    /// Processes of this environment, whoever started them.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        let mut found = process::with_variable("PODIUM_HOME", self.home.root().as_os_str());
        found.extend(process::working_below(self.root()));
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The daemon's log, for messages of failed tests.
    #[must_use]
    pub fn log(&self) -> String {
        let files = fs::read_dir(self.home.logs()).into_iter().flatten().flatten();
        files.filter_map(|file| fs::read_to_string(file.path()).ok()).collect()
    }

    /// The daemon's log as objects.
    #[must_use]
    pub fn log_entries(&self) -> Vec<Value> {
        self.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    pub(crate) fn find(&self, program: &OsStr) -> PathBuf {
        let path = Path::new(program);
        if path.components().count() > 1 {
            return path.to_owned();
        }
        let search = self.vars.get(OsStr::new("PATH")).map(OsString::as_os_str).unwrap_or_default();
        std::env::split_paths(search)
            .map(|folder| folder.join(path))
            .find(|file| file.is_file())
            .unwrap_or_else(|| panic!("no program `{}` in {}", path.display(), search.to_string_lossy()))
    }

    /// Ends what still runs; gives what is wrong with it.
    fn end(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for pid in self.daemons() {
            process::terminate(pid);
            let gone = Poll::new(STOP_TIMEOUT).until(|| (!process::is_alive(pid)).then_some(()));
            if gone.is_none() {
                wrong.push(format!("daemon {pid} does not end after SIGTERM"));
            }
        }
        // Children that were told to end with the daemon may take a moment.
        let left = |pids: &Vec<u32>| pids.is_empty();
        let _ = Poll::new(Duration::from_secs(3)).until(|| Some(self.processes()).filter(left));
        for pid in self.processes() {
            wrong.push(format!("process {pid} is left: {}", process::command_line(pid)));
            process::kill(pid);
        }
        wrong
    }
}

impl Default for TestEnvironment {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for TestEnvironment {
    #[expect(clippy::print_stderr, reason = "what a person needs to understand the failure")]
    fn drop(&mut self) {
        let wrong = self.end();
        if std::thread::panicking() {
            let log = self.log();
            let from = log.char_indices().rev().nth(4000).map_or(0, |(at, _)| at);
            eprintln!("the daemon's log ends with:\n{}", &log[from..]);
        } else {
            assert!(wrong.is_empty(), "the environment cannot be ended: {wrong:#?}\n{}", self.log());
        }
    }
}

fn base_vars(user: &Path, home: &Home) -> BTreeMap<OsString, OsString> {
    let callers = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(binaries()).chain(std::env::split_paths(&callers));
    let path = std::env::join_paths(folders).unwrap_or(callers);
    let identity = [
        ("GIT_AUTHOR_NAME", "Ann"),
        ("GIT_AUTHOR_EMAIL", "ann@example.org"),
        ("GIT_COMMITTER_NAME", "Ann"),
        ("GIT_COMMITTER_EMAIL", "ann@example.org"),
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("USER", "ann"),
        ("LOGNAME", "ann"),
        ("LANG", "C.UTF-8"),
        ("TERM", "xterm-256color"),
        ("RUST_BACKTRACE", "1"),
    ];
    let mut vars: BTreeMap<OsString, OsString> =
        identity.iter().map(|(name, value)| (name.into(), value.into())).collect();
    vars.insert("PATH".into(), path);
    vars.insert("HOME".into(), user.into());
    vars.insert("PODIUM_HOME".into(), home.root().into());
    vars.insert("PODIUM_MODELS".into(), home.models().into());
    vars
}

/// The model cache that the user's own Podium has.
fn models_of_user() -> PathBuf {
    let home = Home::resolve(|name| match name {
        // Only the models are asked for: any absolute path serves as the state's.
        "PODIUM_HOME" => Some("/".into()),
        _ => std::env::var_os(name).filter(|value| !value.is_empty()),
    });
    home.unwrap_or_else(|e| panic!("no place for models: {e}")).models().to_owned()
}

fn make_folder(folder: &Path) {
    fs::create_dir_all(folder).unwrap_or_else(|e| panic!("{} cannot be made: {e}", folder.display()));
}
