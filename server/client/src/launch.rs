//! Finds the daemon's program and starts it detached, with an environment of its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use podium_process::{Detached, ProcessError};
use podium_protocol::WireError;
use tokio::net::UnixStream;

use crate::options::ConnectOptions;

/// Longest time from starting a daemon to its socket. A migration of a big database may take most of it.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause between two looks at a socket that is about to appear.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Variables the daemon keeps from whoever starts it; everything else (a hook's `GIT_DIR`, keys) stays behind.
const KEPT: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "XDG_RUNTIME_DIR",
    "XDG_STATE_HOME",
    "XDG_DATA_HOME",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "RUST_BACKTRACE",
];
/// The variables of Podium's own that hold for the daemon beside the two folders. All others are of one shell, one
/// agent or one session; settings that shall last are in the configuration. The services are the user's, not a shell's.
const KEPT_OF_PODIUM: &[&str] =
    &["PODIUM_LOG", "PODIUM_AMQP_URL", "PODIUM_REDIS_URL", "PODIUM_POSTGRES_URL", "PODIUM_S3_URL"];

/// Starts a daemon and waits until its socket answers.
pub(crate) async fn start(options: &ConnectOptions) -> Result<UnixStream, WireError> {
    let program = find_program(options)?;
    make_home(options.home.root())?;
    // What an earlier start left behind is not this one's reason.
    let _ = std::fs::remove_file(options.home.start_failure());
    let command = Detached::new(&program).args(["daemon", "--foreground"]).envs(daemon_env(options));
    match command.spawn() {
        Ok(identity) => tracing::debug!(pid = identity.pid, "started a daemon"),
        // Another client's daemon was faster, and this one has left already.
        Err(ProcessError::NoSuchProcess { .. }) => {}
        Err(e) => {
            return Err(WireError::unavailable(format!("the daemon could not be started: {e}"))
                .hint(format!("try `{} daemon --foreground` to see why", program.display())));
        }
    }
    wait_for_socket(options).await
}

/// A daemon without a home could not even leave the reason why it does not start.
fn make_home(root: &Path) -> Result<(), WireError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(root).map_err(|error| {
        WireError::unavailable(format!("{} cannot be made: {error}", root.display()))
            .hint("PODIUM_HOME names the folder of all state; choose one that you may write to")
    })
}

async fn wait_for_socket(options: &ConnectOptions) -> Result<UnixStream, WireError> {
    let socket = options.home.socket();
    let deadline = tokio::time::Instant::now() + START_TIMEOUT;
    let mut failed_since = None;
    loop {
        if let Ok(stream) = UnixStream::connect(&socket).await {
            return Ok(stream);
        }
        let now = tokio::time::Instant::now();
        // A daemon that cannot start leaves its reason; one that starts removes an old reason first.
        if let Some(reason) = read_failure(options) {
            let since = *failed_since.get_or_insert(now);
            if now - since > Duration::from_millis(500) {
                return Err(reason);
            }
        }
        if now > deadline {
            return Err(WireError::unavailable(format!(
                "the daemon gave no answer in {} s",
                START_TIMEOUT.as_secs()
            ))
            .hint(format!("read the log in {}", options.home.logs().display()))
            .hint("run `podium daemon --foreground` to see why"));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What a daemon that could not start wrote for whoever started it.
fn read_failure(options: &ConnectOptions) -> Option<WireError> {
    let text = std::fs::read_to_string(options.home.start_failure()).ok()?;
    serde_json::from_str(&text).ok()
}

fn find_program(options: &ConnectOptions) -> Result<PathBuf, WireError> {
    if let Some(program) = &options.program {
        return Ok(program.clone());
    }
    let name = format!("podium{}", std::env::consts::EXE_SUFFIX);
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(&name)));
    if let Some(path) = beside.filter(|path| path.is_file()) {
        return Ok(path);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|dir| dir.join(&name)).find(|path| path.is_file()).ok_or_else(|| {
        WireError::unavailable("no daemon is running and the program `podium` was not found")
            .hint("install it with `cargo install --path server/cli`, or put its folder on the PATH")
    })
}

fn daemon_env(options: &ConnectOptions) -> Vec<(OsString, OsString)> {
    let kept = |name: &str| KEPT.contains(&name) || KEPT_OF_PODIUM.contains(&name);
    let mut env: Vec<(OsString, OsString)> =
        std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(kept)).collect();
    env.push(("PODIUM_HOME".into(), options.home.root().into()));
    env.push(("PODIUM_MODELS".into(), options.home.models().into()));
    env
}
