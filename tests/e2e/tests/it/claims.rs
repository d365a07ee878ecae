//! One owner at a time, whoever asks, however many ask at once.

use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::time::Duration;

use podium_client::Client;
use podium_harness::{Poll, TestEnvironment, TestRepo};
use podium_protocol::{
    ClaimAcquire, ClaimAcquireParams, ClaimAcquired, ClaimRelease, ClaimReleaseParams, ErrorKind, Ping,
    PingParams, RepoSelector, WireError,
};
use serde_json::Value;
use tokio::sync::Barrier;

use crate::connections::{block_on, connect};

const WORKTREE: &str = "feat-auth";

fn worktree(environment: &TestEnvironment) -> TestRepo<'_> {
    let repo = environment.repo();
    environment.imi(["feat", "auth"]).within(&repo).ok();
    repo
}

fn claim(environment: &TestEnvironment, repo: &TestRepo<'_>, agent: &str) -> Result<Value, Value> {
    let (code, mut envelope) =
        environment.imi(["claim", WORKTREE, "--agent-id", agent]).within(repo).envelope();
    match code {
        0 => Ok(envelope["data"].take()),
        3 => Err(envelope["error"].take()),
        _ => panic!("a claim is won or refused, not exit {code}: {envelope:#}"),
    }
}

fn release(environment: &TestEnvironment, repo: &TestRepo<'_>, agent: &str) {
    environment.imi(["release", WORKTREE, "--agent-id", agent]).within(repo).ok();
}

#[test]
fn of_fifty_processes_exactly_one_claims_and_the_others_learn_who() {
    let environment = TestEnvironment::new();
    let repo = worktree(&environment);
    let mut last_token = 0;
    for round in 0..3 {
        let outcomes: Vec<Result<Value, Value>> = std::thread::scope(|scope| {
            let claims: Vec<_> = (0..50)
                .map(|n| {
                    let (environment, repo) = (&environment, &repo);
                    scope.spawn(move || claim(environment, repo, &format!("agent-{n}")))
                })
                .collect();
            claims.into_iter().map(|claim| claim.join().unwrap()).collect()
        });
        let won: Vec<&Value> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
        assert_eq!(won.len(), 1, "round {round}: {won:#?}");
        for error in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            assert_eq!(error["owner"]["agentId"], won[0]["agentId"], "the owner is told: {error:#}");
        }
        let token = won[0]["token"].as_u64().unwrap();
        assert!(token > last_token, "{token} is above {last_token}");
        last_token = token;
        release(&environment, &repo, won[0]["agentId"].as_str().unwrap());
    }
}

#[test]
fn in_a_hundred_rounds_fifty_connections_have_one_winner_each_and_tokens_rise() {
    let environment = TestEnvironment::new();
    let repo = worktree(&environment);
    let path = repo.path().to_owned();
    block_on(async {
        let mut clients = Vec::new();
        for _ in 0..50 {
            clients.push(connect(&environment).await);
        }
        let mut last_token = 0;
        for round in 0..100 {
            let winner = race(&clients, &path).await;
            assert_eq!(winner.len(), 1, "round {round}: {winner:?}");
            assert!(winner[0].token > last_token, "{} is above {last_token}", winner[0].token);
            last_token = winner[0].token;
            let params = ClaimReleaseParams {
                at: at(&path),
                worktree: Some(WORKTREE.into()),
                agent_id: Some(winner[0].agent_id.clone()),
                ..Default::default()
            };
            clients[round % 50].call::<ClaimRelease>(params).await.unwrap();
        }
    });
}

/// All claim at once; gives the winners.
async fn race(clients: &[Client], repo: &Path) -> Vec<ClaimAcquired> {
    let start = Arc::new(Barrier::new(clients.len()));
    let claims: Vec<_> = clients
        .iter()
        .enumerate()
        .map(|(number, client)| {
            let (client, start, params) = (client.clone(), Arc::clone(&start), acquire(repo, number));
            tokio::spawn(async move {
                start.wait().await;
                client.call::<ClaimAcquire>(params).await
            })
        })
        .collect();
    let mut won = Vec::new();
    let mut lost: Vec<WireError> = Vec::new();
    for claim in claims {
        match claim.await.unwrap() {
            Ok(acquired) => won.push(acquired),
            Err(error) => lost.push(error),
        }
    }
    for error in lost {
        assert_eq!(error.kind, ErrorKind::Conflict, "{error:?}");
        let owner = error.owner.as_ref().map(|owner| &owner.agent_id);
        assert_eq!(owner, won.first().map(|w| &w.agent_id), "{error:?}");
    }
    won
}

fn acquire(repo: &Path, number: usize) -> ClaimAcquireParams {
    ClaimAcquireParams {
        at: at(repo),
        worktree: Some(WORKTREE.into()),
        agent_id: Some(format!("agent-{number}")),
        ..Default::default()
    }
}

fn at(repo: &Path) -> RepoSelector {
    RepoSelector { repo: repo.to_str().map(str::to_owned), ..Default::default() }
}

#[test]
fn a_killed_owner_is_taken_over_and_a_live_one_never() {
    let environment = TestEnvironment::new();
    let repo = worktree(&environment);
    let mut owner = sleeper(&environment);
    let pid = owner.id().to_string();
    let bound = ["claim", WORKTREE, "--agent-id", "bound", "--pid", &pid];
    let bound = environment.imi(bound).within(&repo).data();
    for attempt in 0..10 {
        let error = claim(&environment, &repo, &format!("other-{attempt}")).unwrap_err();
        assert_eq!(error["owner"]["alive"], true, "{error:#}");
        assert_eq!(error["owner"]["pid"], owner.id(), "{error:#}");
    }
    verify_lock(&environment, &repo, "bound", 0);
    verify_lock(&environment, &repo, "other", 1);

    owner.kill().unwrap();
    owner.wait().unwrap();
    let taken = claim(&environment, &repo, "other").unwrap();
    assert!(taken["token"].as_u64() > bound["token"].as_u64(), "{taken:#}");
    assert_eq!(taken["replaced"]["agentId"], "bound", "{taken:#}");
    verify_lock(&environment, &repo, "bound", 1);
}

#[test]
fn a_claim_that_lives_by_heartbeat_is_never_taken_for_its_age() {
    let environment = TestEnvironment::builder().setting("claims.heartbeat_seconds = 5").build();
    let repo = worktree(&environment);
    claim(&environment, &repo, "silent").unwrap();
    let unknown = Poll::new(Duration::from_secs(25)).every(Duration::from_millis(250));
    unknown.expect("the owner counts as unknown", || {
        let error = claim(&environment, &repo, "other").unwrap_err();
        (error["owner"]["alive"] == "unknown").then_some(())
    });
    let forced = ["claim", WORKTREE, "--agent-id", "other", "--force"];
    let forced = environment.imi(forced).within(&repo).data();
    assert_eq!(forced["replaced"]["agentId"], "silent", "{forced:#}");
}

fn verify_lock(environment: &TestEnvironment, repo: &TestRepo<'_>, agent: &str, code: i32) {
    let verify = environment.imi(["verify-lock", WORKTREE, "--agent-id", agent]).within(repo).run();
    assert_eq!(verify.code, Some(code), "verify-lock for {agent}: {verify:#?}");
}

/// A process that lives until it is killed, and is none of the environment's.
fn sleeper(environment: &TestEnvironment) -> Child {
    environment.program("sleep").arg("600").within("/").without_var("PODIUM_HOME").spawn(|_| {})
}

#[test]
fn who_waits_longest_gets_it_first() {
    let environment = TestEnvironment::new();
    let repo = worktree(&environment);
    claim(&environment, &repo, "holder").unwrap();
    let path = repo.path().to_owned();
    block_on(async {
        let client = connect(&environment).await;
        let mut waiters = Vec::new();
        for number in 0..5 {
            let (client, mut params) = (client.clone(), acquire(&path, number));
            params.wait = Some(60);
            waiters.push(tokio::spawn(async move { client.call::<ClaimAcquire>(params).await.unwrap() }));
            // The daemon takes requests of one connection in order: an answer says that it has taken this one.
            let sent = Poll::new(Duration::from_millis(200)).every(Duration::from_millis(200));
            tokio::task::block_in_place(|| sent.until(|| None::<()>));
            connect(&environment).await.call::<Ping>(PingParams::default()).await.unwrap();
        }
        let mut holder = "holder".to_owned();
        for (number, waiter) in waiters.into_iter().enumerate() {
            assert!(!waiter.is_finished(), "agent-{number} waits while {holder} holds it");
            let params = ClaimReleaseParams {
                at: at(&path),
                worktree: Some(WORKTREE.into()),
                agent_id: Some(holder),
                ..Default::default()
            };
            client.call::<ClaimRelease>(params).await.unwrap();
            let next = tokio::time::timeout(Duration::from_secs(20), waiter).await.unwrap().unwrap();
            assert_eq!(next.agent_id, format!("agent-{number}"));
            holder = next.agent_id;
        }
    });
}

#[test]
fn a_waiter_that_is_killed_leaves_the_queue() {
    let environment = TestEnvironment::new();
    let repo = worktree(&environment);
    claim(&environment, &repo, "holder").unwrap();
    let wait = ["claim", WORKTREE, "--agent-id", "gone", "--wait", "600"];
    let before = clients(&environment);
    let mut waiter = environment.imi(wait).within(&repo).spawn(|_| {});
    podium_harness::eventually("the waiter is connected", || clients(&environment) > before);
    waiter.kill().unwrap();
    waiter.wait().unwrap();
    podium_harness::eventually("the daemon has noticed", || clients(&environment) == before);
    release(&environment, &repo, "holder");
    claim(&environment, &repo, "next").unwrap();
}

/// Connections the daemon has, the asking one included.
fn clients(environment: &TestEnvironment) -> u64 {
    environment.podium(["daemon", "status"]).data()["clients"].as_u64().unwrap()
}

#[test]
fn a_wait_that_is_in_vain_ends_as_a_conflict() {
    let environment = TestEnvironment::new();
    let repo = worktree(&environment);
    claim(&environment, &repo, "holder").unwrap();
    let error = environment.imi(["claim", WORKTREE, "--agent-id", "b", "--wait", "1"]).within(&repo).fails(3);
    assert_eq!(error["owner"]["agentId"], "holder", "{error:#}");
}

#[test]
fn only_the_owner_releases_and_a_stale_token_does_nothing() {
    let environment = TestEnvironment::new();
    let repo = worktree(&environment);
    let first = claim(&environment, &repo, "a").unwrap()["token"].to_string();
    environment.imi(["release", WORKTREE, "--agent-id", "b"]).within(&repo).fails(3);
    release(&environment, &repo, "a");
    claim(&environment, &repo, "a").unwrap();
    let stale = ["release", WORKTREE, "--agent-id", "a", "--token", &first];
    environment.imi(stale).within(&repo).fails(3);
    verify_lock(&environment, &repo, "a", 0);
}

#[test]
fn git_sees_the_claim_as_its_lock_and_somebody_elses_lock_stays() {
    let environment = TestEnvironment::new();
    let repo = worktree(&environment);
    let listed = || repo.git(["worktree", "list", "--porcelain"]);
    claim(&environment, &repo, "a").unwrap();
    assert!(listed().contains("\nlocked"), "{}", listed());
    release(&environment, &repo, "a");
    assert!(!listed().contains("\nlocked"), "{}", listed());

    let made = environment.imi(["status", WORKTREE]).within(&repo).data();
    let path = made["worktree"]["path"].as_str().unwrap().to_owned();
    repo.git(["worktree", "lock", "--reason", "on a stick", &path]);
    claim(&environment, &repo, "a").unwrap_err();
    assert!(listed().contains("locked on a stick"), "{}", listed());
}

#[test]
fn a_claim_survives_the_daemon() {
    let environment = TestEnvironment::new();
    let repo = worktree(&environment);
    let token = claim(&environment, &repo, "a").unwrap()["token"].as_u64();
    environment.kill_daemon();
    let error = claim(&environment, &repo, "b").unwrap_err();
    assert_eq!(error["owner"]["agentId"], "a", "{error:#}");
    release(&environment, &repo, "a");
    assert!(claim(&environment, &repo, "b").unwrap()["token"].as_u64() > token);
}
