//! What the tests of agents that are programs share: a runner, a daemon to be killed, and configured scripts.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use podium_artifacts::Artifacts;
use podium_config::{Layer, Live};
use podium_process::runner::{Launcher, run_from_stdin};
use podium_protocol::SessionStatus;
use podium_sessions::command::Program;
use podium_sessions::{AgentHost, Keys, Provider, Sessions, Settings, Start};
use podium_store::{Options, Store};

use crate::Bed;

const RUNNER: &str = "PODIUM_TEST_AS_RUNNER";
const DAEMON: &str = "PODIUM_TEST_AS_DAEMON";
/// The session that a killed daemon goes on with.
pub(crate) const SESSION: &str = "crashing";

/// Not a test by itself: the others start this program with this name to have a runner.
#[test]
fn as_runner() {
    if std::env::var_os(RUNNER).is_some() {
        run_from_stdin();
    }
}

/// As [`as_runner`]: a daemon that is killed. Begins its session or goes on with it, and ends with it.
#[test]
fn as_daemon() {
    if let Some(dir) = std::env::var_os(DAEMON) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(daemon(Path::new(&dir)));
    }
}

async fn daemon(dir: &Path) {
    let bed = program_bed(dir, &std::process::id().to_string());
    bed.sessions.recover().await.unwrap();
    match bed.sessions.info(SESSION).await {
        Ok(info) if info.status == SessionStatus::Completed => return,
        Ok(_) => drop(bed.sessions.resume(SESSION, None, Default::default()).await.unwrap()),
        Err(_) => {
            let start = Start { id: Some(SESSION.to_owned()), ..crate::ask("go") };
            bed.sessions.start(start).await.unwrap();
        }
    }
    crate::follow(&bed.sessions, SESSION).await;
}

/// Starts daemons and kills them at random moments until the session is over. How many were killed.
pub(crate) async fn kill_daemons(dir: &Path, longest_ms: u64) -> usize {
    let mut random = u64::from(std::process::id());
    for kills in 0..2_000 {
        let mut daemon = tokio::process::Command::new(std::env::current_exe().unwrap())
            .args(["agents::as_daemon", "--exact", "--nocapture", "--test-threads=1"])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env(DAEMON, dir)
            .stdout(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let life = Duration::from_millis(20 + (random >> 33) % longest_ms);
        match tokio::time::timeout(life, daemon.wait()).await {
            Ok(status) => {
                assert!(status.unwrap().success(), "a daemon failed after {kills} kills");
                return kills;
            }
            Err(_) => daemon.kill().await.unwrap(),
        }
    }
    panic!("the session is still not over");
}

pub(crate) fn launcher() -> Launcher {
    let args = ["agents::as_runner", "--exact", "--nocapture", "--test-threads=1"];
    Launcher {
        program: std::env::current_exe().unwrap(),
        args: args.map(OsString::from).into(),
        env: BTreeMap::from([(RUNNER.into(), "1".into())]),
    }
}

pub(crate) fn host(dir: &Path) -> Arc<AgentHost> {
    AgentHost::new(launcher(), folder(dir), None)
}

pub(crate) fn folder(dir: &Path) -> PathBuf {
    dir.join("agents")
}

/// Has one more agent configured: a shell script.
pub(crate) fn configure(dir: &Path, name: &str, format: &str, script: &str) {
    let file = dir.join(format!("{name}.sh"));
    std::fs::write(&file, script).unwrap();
    let mut lines = std::fs::read_to_string(dir.join("agents.txt")).unwrap_or_default();
    lines += &format!("{name} {format} /bin/sh {} {{prompt}}\n", file.display());
    configure_lines(dir, &lines);
}

pub(crate) fn configure_lines(dir: &Path, lines: &str) {
    std::fs::write(dir.join("agents.txt"), lines).unwrap();
    let list: Vec<&str> = lines.lines().collect();
    std::fs::write(dir.join("config.toml"), format!("[sessions]\nagents = {list:?}\n")).unwrap();
}

pub(crate) fn config(dir: &Path) -> Arc<Live> {
    Arc::new(Live::load(vec![Layer::User(dir.join("config.toml"))]).unwrap())
}

pub(crate) fn program_bed(dir: &Path, instance: &str) -> Bed {
    let config = config(dir);
    let store = Store::open(&Options { path: dir.join("p.db") }).unwrap();
    bed_of(dir, instance, store, Arc::new(Program::new(host(dir), Arc::clone(&config))), config)
}

pub(crate) fn bed_of(
    dir: &Path,
    instance: &str,
    store: Store,
    provider: Arc<dyn Provider>,
    config: Arc<Live>,
) -> Bed {
    let artifacts = Artifacts::open(store.clone(), &dir.join("a"), &dir.join("v")).unwrap();
    let settings = Settings {
        instance: instance.to_owned(),
        config,
        providers: vec![provider],
        toolkit: None,
        keys: Keys::new(dir),
    };
    let sessions = Sessions::new(store.clone(), artifacts.clone(), settings);
    Bed { store, artifacts, sessions }
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), future).await.unwrap()
}

/// Waits for a pid in a file of the script's, and whether its process lives.
pub(crate) async fn pid_in(file: &Path) -> podium_process::ProcessIdentity {
    within(async {
        loop {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            if let Some(pid) = text.strip_suffix('\n').and_then(|pid| pid.parse().ok()) {
                return podium_process::ProcessIdentity::of(pid).unwrap();
            }
            // tidy-allow(sleep): whether a file is written has to be looked at
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}
