//! Clients and daemons of different versions.

use podium_client::{Client, ConnectOptions, ConnectionState, StartPolicy};
use podium_harness::{TestEnvironment, process};
use podium_protocol::{EventsRead, EventsReadParams, Ping, PingParams, Status, StatusParams};

use crate::connections::{block_on, connect, options};

fn of_version(environment: &TestEnvironment, version: &str) -> ConnectOptions {
    ConnectOptions { version: version.to_owned(), start: StartPolicy::OnDemand, ..options(environment) }
}

#[test]
fn a_newer_client_replaces_an_older_daemon_and_others_come_back_at_once() {
    let environment = TestEnvironment::new();
    let repo = environment.repo();
    environment.imi(["feat", "kept"]).within(&repo).ok();
    let first = environment.daemon_pid().unwrap();
    block_on(async {
        let other = connect(&environment).await;
        // What it starts is of this version again: it takes that, and does not replace it in turn.
        let newer = Client::connect(of_version(&environment, "999.0.0")).await.unwrap();
        let second = newer.call::<Status>(StatusParams {}).await.unwrap().pid;
        assert_ne!(first, second);
        assert!(!process::is_alive(first), "the old daemon is drained first");
        assert!(*other.state().borrow() != ConnectionState::Stopped);
        assert_eq!(other.call::<Status>(StatusParams {}).await.unwrap().pid, second);
        assert!(
            newer.call::<EventsRead>(EventsReadParams::default()).await.unwrap().head_seq > 0,
            "its state is kept"
        );
    });
}

#[test]
fn an_older_client_works_with_a_newer_daemon() {
    let environment = TestEnvironment::new();
    let pid = environment.start_daemon();
    block_on(async {
        let older = Client::connect(of_version(&environment, "0.0.1")).await.unwrap();
        older.call::<Ping>(PingParams::default()).await.unwrap();
        assert_eq!(older.welcome().unwrap().pid, pid);
    });
    assert_eq!(environment.daemon_pid(), Some(pid));
}
