//! One daemon for each home: started by whoever needs it, gone when it is told, never two.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use podium_client::ConnectionState;
use podium_harness::{TestEnvironment, eventually, process};
use podium_protocol::{ErrorKind, Status, StatusParams};

use crate::connections::{block_on, connect, options};

#[test]
fn twenty_clients_that_start_at_once_get_one_daemon() {
    let environment = TestEnvironment::new();
    let pids: Vec<u64> = std::thread::scope(|scope| {
        let starts: Vec<_> = (0..20)
            .map(|_| scope.spawn(|| environment.podium(["status"]).data()["pid"].as_u64().unwrap()))
            .collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    assert!(pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
    eventually("those that came too late are gone", || environment.daemons().len() == 1);
    assert_eq!(environment.daemon_pid().map(u64::from), Some(pids[0]));
}

#[test]
fn a_stale_socket_is_taken_over() {
    let environment = TestEnvironment::new();
    let first = environment.start_daemon();
    process::kill(first);
    assert!(environment.home().socket().exists(), "SIGKILL leaves the socket behind");
    let second = environment.start_daemon();
    assert_ne!(first, second);

    process::kill(second);
    let socket = environment.home().socket();
    fs::remove_file(&socket).unwrap();
    drop(UnixListener::bind(&socket).unwrap());
    assert!(process::is_alive(environment.start_daemon()));
}

#[test]
fn sockets_that_a_killed_daemon_left_to_its_agents_go_with_the_next_start() {
    let environment = TestEnvironment::new();
    let first = environment.start_daemon();
    let folder = environment.home().capability_sockets();
    drop(UnixListener::bind(folder.join("left.sock")).unwrap());
    fs::write(folder.join("notes.txt"), "no socket").unwrap();
    process::kill(first);
    environment.start_daemon();
    let left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["notes.txt"]);
}

#[test]
fn a_second_daemon_says_that_one_runs_and_leaves_it_alone() {
    let environment = TestEnvironment::new();
    let first = environment.start_daemon();
    let second = environment.podium(["daemon", "--foreground"]).run();
    assert_ne!(second.code, Some(0));
    let said = format!("{}{}", second.stdout, second.stderr);
    assert!(said.contains(&first.to_string()) || said.contains("already"), "{said}");
    assert_eq!(environment.daemon_pid(), Some(first));
}

#[test]
fn sigterm_ends_it_gracefully_and_the_next_command_starts_another() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    environment.imi(["feat", "kept"]).within(&repo).ok();
    let first = environment.daemon_pid().unwrap();
    process::terminate(first);
    process::wait_for_end(first, Duration::from_secs(10));
    assert!(!environment.home().socket().exists(), "a daemon that ends takes its socket along");
    let listed = environment.imi(["list"]).within(&repo).data();
    let names: Vec<&str> =
        listed["worktrees"].as_array().unwrap().iter().filter_map(|w| w["name"].as_str()).collect();
    assert!(names.contains(&"feat-kept"), "{names:?}");
    assert_ne!(environment.daemon_pid(), Some(first));
}

#[test]
fn after_a_deliberate_stop_attached_clients_wait_for_a_person() {
    let environment = TestEnvironment::new();
    environment.start_daemon();
    block_on(async {
        let attached = connect(&environment).await;
        let mut state = attached.state();
        tokio::task::block_in_place(|| environment.podium(["daemon", "stop"]).ok());
        state.wait_for(|state| *state == ConnectionState::Stopped).await.unwrap();
        let error = attached.call::<Status>(StatusParams {}).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error:?}");
        assert!(!error.hints.is_empty(), "{error:?}");
        tokio::task::block_in_place(|| {
            assert!(environment.daemons().is_empty(), "nobody started it again");
            environment.podium(["status"]).ok();
        });
        attached.call::<Status>(StatusParams {}).await.unwrap_err();
        attached.wake();
        attached.call::<Status>(StatusParams {}).await.unwrap();
    });
}

#[test]
fn a_stopped_daemon_is_no_error_and_its_status_starts_none() {
    let environment = TestEnvironment::new();
    environment.podium(["daemon", "status"]).fails(5);
    let stopped = environment.podium(["daemon", "stop"]).data();
    assert!(stopped["pid"].is_null(), "{stopped}");
    assert!(environment.daemons().is_empty());
    assert!(environment.imi(["status", "--short"]).run().success().is_empty(), "a prompt starts none either");
    assert!(environment.daemons().is_empty());
}

#[test]
fn its_environment_is_its_own() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    let secrets = [
        ("GIT_DIR", "/nowhere"),
        ("GIT_INDEX_FILE", "/nowhere"),
        ("AWS_SECRET_ACCESS_KEY", "s3cret"),
        ("ANTHROPIC_API_KEY", "sk-secret"),
        ("PODIUM_AGENT_ID", "claude-1"),
    ];
    let start = environment.podium(["daemon"]).within(&repo);
    secrets.iter().fold(start, |start, (name, value)| start.var(name, value)).ok();
    let pid = environment.daemon_pid().unwrap();
    for (name, _) in process::environment(pid) {
        assert!(!secrets.iter().any(|(secret, _)| *secret == name), "the daemon inherited {name}");
        assert!(!name.starts_with("GIT_"), "the daemon inherited {name}");
    }
    assert_eq!(process::working_folder(pid), Some(PathBuf::from("/")));
    for descriptor in 0..3 {
        let target = fs::read_link(format!("/proc/{pid}/fd/{descriptor}")).unwrap_or_default();
        let named = target.to_string_lossy();
        assert!(!named.starts_with("pipe:") && !named.contains("pts"), "descriptor {descriptor} is {named}");
    }
    // A hook's GIT_DIR must not change which repository is meant.
    let listed = environment.imi(["list"]).within(&repo).var("GIT_DIR", "/nowhere").data();
    assert_eq!(listed["worktrees"].as_array().map(Vec::len), Some(1), "{listed:#}");
}

#[test]
fn its_files_are_the_users_own() {
    let environment = TestEnvironment::new();
    environment.start_daemon();
    let home = environment.home();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&home.socket()), 0o600);
    assert_eq!(mode(home.socket().parent().unwrap()), 0o700);
    assert_eq!(mode(home.root()), 0o700);
    assert_eq!(mode(&home.token_file()), 0o600);
    assert_eq!(fs::metadata(home.socket()).unwrap().uid(), fs::metadata(home.root()).unwrap().uid());
}

#[test]
fn foreign_files_in_its_home_are_left_alone() {
    let environment = TestEnvironment::new();
    let root = environment.home().root();
    fs::create_dir_all(root.join("artifacts/odd")).unwrap();
    fs::create_dir_all(root.join("logs")).unwrap();
    fs::create_dir_all(root.join("store")).unwrap();
    let foreign =
        ["notes.txt", "artifacts/odd/x", "logs/other.log", "store/podium.db.old"].map(|name| root.join(name));
    for file in &foreign {
        fs::write(file, "mine").unwrap();
    }
    environment.start_daemon();
    environment.podium(["daemon", "stop"]).ok();
    for file in &foreign {
        assert_eq!(fs::read_to_string(file).unwrap(), "mine", "{}", file.display());
    }
}

#[test]
fn a_home_whose_path_is_too_long_for_a_socket_works() {
    let long = format!("{}/{}", "long-".repeat(20), "home".repeat(15));
    let environment = TestEnvironment::builder().podium_home(long).build();
    let repo = environment.repo();
    environment.imi(["feat", "x"]).within(&repo).ok();
    let socket = environment.podium(["status"]).data()["socket"].as_str().unwrap().to_owned();
    assert!(socket.len() <= 107 && Path::new(&socket).exists(), "{socket}");
    assert_eq!(environment.daemons().len(), 1);
    environment.podium(["daemon", "stop"]).ok();
    assert!(!Path::new(&socket).exists());
}

#[test]
fn a_home_with_spaces_and_letters_of_other_scripts_works() {
    let environment = TestEnvironment::builder().podium_home("Ann's höme 家").build();
    let repo = environment.repo();
    environment.imi(["feat", "x"]).within(&repo).ok();
}

#[test]
fn a_home_must_be_absolute() {
    let environment = TestEnvironment::new();
    let error = environment.podium(["status"]).var("PODIUM_HOME", "relative").fails(1);
    assert_eq!(error["kind"], "user", "{error:#}");
}

#[test]
fn an_idle_daemon_ends_by_itself() {
    let environment = TestEnvironment::builder().setting("daemon.idle_exit_seconds = 1").build();
    let pid = environment.start_daemon();
    process::wait_for_end(pid, Duration::from_secs(20));
    environment.podium(["status"]).ok();
}

#[test]
fn a_client_that_may_not_start_a_daemon_says_how_to() {
    let environment = TestEnvironment::new();
    let error = block_on(podium_client::Client::connect(options(&environment))).err().unwrap();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.hints.iter().any(|hint| hint.contains("podium daemon")), "{error:?}");
}

#[test]
fn its_log_is_json_and_holds_no_token() {
    let environment = TestEnvironment::new();
    environment.start_daemon();
    let log = environment.log();
    assert!(!log.trim().is_empty());
    assert_eq!(environment.log_entries().len(), log.lines().count(), "every line is JSON: {log}");
    assert!(!log.contains(&crate::connections::token(&environment)));
    let shown = environment.podium(["daemon", "logs"]).run();
    assert_eq!(shown.code, Some(0), "{shown:#?}");
}

#[test]
fn a_daemon_keeps_nothing_of_the_shell_that_started_it() {
    let environment = TestEnvironment::new();
    let shell = [
        ("PODIUM_AGENT_ID", "somebody"),
        ("PODIUM_GUARD_PASS", "1"),
        ("PODIUM_CLAIMS_HEARTBEAT_SECONDS", "7"),
        ("PODIUM_LOG", "info"),
        ("GIT_DIR", "/nowhere"),
    ];
    let status = environment.podium(["status"]);
    shell.iter().fold(status, |run, (name, value)| run.var(name, value)).ok();
    let pid = environment.daemon_pid().unwrap();
    let block = fs::read(format!("/proc/{pid}/environ")).unwrap();
    let mut kept: Vec<String> = block
        .split(|byte| *byte == 0)
        .map(|line| String::from_utf8_lossy(line).split('=').next().unwrap().to_owned())
        .filter(|name| name.starts_with("PODIUM_") || name.starts_with("GIT_"))
        .collect();
    kept.sort();
    assert_eq!(kept, ["PODIUM_HOME", "PODIUM_LOG", "PODIUM_MODELS"]);
}
