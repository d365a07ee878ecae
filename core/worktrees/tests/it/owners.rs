use std::process::{Child, Command};
use std::sync::atomic::Ordering;
use std::time::Duration;

use podium_protocol::{
    Alive, ClaimAcquireParams, ClaimHeartbeatParams, ClaimStanding, ClaimVerifyParams, ErrorKind,
};
use podium_store::{Durability, StoreError};

use crate::bed::{Bed, person};

fn sleeper() -> Child {
    Command::new("sleep").arg("600").spawn().unwrap()
}

fn bound(bed: &Bed, agent: &str, child: &Child) -> ClaimAcquireParams {
    ClaimAcquireParams { pid: Some(child.id()), ..bed.claiming("feat-x", agent) }
}

async fn alive(bed: &Bed) -> Alive {
    bed.list().await[1].claim.as_ref().unwrap().alive
}

async fn set(bed: &Bed, sql: &'static str) {
    let done = bed
        .store
        .write(Durability::Process, move |tx| -> Result<usize, StoreError> { Ok(tx.execute(sql, [])?) });
    assert_eq!(done.await.unwrap(), 1);
}

async fn wait_for_event(bed: &Bed, kind: &str) {
    let mut head = bed.store.watch_head();
    let found = async {
        while bed.events(kind).await.is_empty() {
            head.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(20), found).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_owner_is_taken_over_and_a_living_one_is_not() {
    let bed = Bed::new();
    bed.create("x").await;
    let mut child = sleeper();
    let first = bed.service.acquire(bound(&bed, "a", &child), &person()).await.unwrap();
    let error = bed.claim("feat-x", "b").await.unwrap_err();
    let owner = error.owner.unwrap();
    assert_eq!((owner.alive, owner.pid), (Alive::Yes, Some(child.id())));
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for_event(&bed, "worktree.claim_orphaned").await;
    assert_eq!(alive(&bed).await, Alive::No);
    let params = ClaimVerifyParams {
        at: bed.at(),
        worktree: Some("feat-x".into()),
        agent_id: Some("b".into()),
        token: None,
    };
    assert_eq!(bed.service.verify(params, &person()).await.unwrap().standing, ClaimStanding::Free);
    let second = bed.claim("feat-x", "b").await.unwrap();
    assert!(second.token > first.token);
    assert_eq!(second.replaced.unwrap().agent_id, "a");
    assert_eq!(bed.events("worktree.claim_orphaned").await.len(), 1);
    assert_eq!(bed.events("worktree.claimed").await[1].data["forced"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_death_of_the_owner_wakes_who_waits() {
    let bed = Bed::new();
    bed.create("x").await;
    let mut child = sleeper();
    bed.service.acquire(bound(&bed, "a", &child), &person()).await.unwrap();
    let params = ClaimAcquireParams { wait: Some(60), ..bed.claiming("feat-x", "b") };
    let service = bed.service.clone();
    let mut task = Box::pin(async move { service.acquire(params, &person()).await });
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut task).await.is_err());
    child.kill().unwrap();
    child.wait().unwrap();
    let won = tokio::time::timeout(Duration::from_secs(20), task).await.unwrap().unwrap();
    assert_eq!(won.agent_id, "b");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_daemon_watches_the_owners_it_finds() {
    let mut bed = Bed::new();
    bed.create("x").await;
    let mut child = sleeper();
    bed.service.acquire(bound(&bed, "a", &child), &person()).await.unwrap();
    std::fs::remove_file(bed.work.join(".git/worktrees/feat-x/locked")).unwrap();
    bed.restart().await;
    assert!(bed.lock_of("feat-x").unwrap().contains("claimed by a"));
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for_event(&bed, "worktree.claim_orphaned").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reused_pid_or_another_boot_proves_death_and_another_host_nothing() {
    let bed = Bed::new();
    bed.create("x").await;
    let mut child = sleeper();
    bed.service.acquire(bound(&bed, "a", &child), &person()).await.unwrap();
    assert_eq!(alive(&bed).await, Alive::Yes);
    set(&bed, "UPDATE worktrees SET pid_start = pid_start + 1 WHERE token = 1").await;
    assert_eq!(alive(&bed).await, Alive::No);
    set(&bed, "UPDATE worktrees SET pid_start = pid_start - 1, boot_id = 'other' WHERE token = 1").await;
    assert_eq!(alive(&bed).await, Alive::No);
    set(&bed, "UPDATE worktrees SET host = 'elsewhere' WHERE token = 1").await;
    assert_eq!(alive(&bed).await, Alive::Unknown);
    assert_eq!(bed.claim("feat-x", "b").await.unwrap_err().owner.unwrap().alive, Alive::Unknown);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pid_that_nobody_has_is_refused() {
    let bed = Bed::new();
    bed.create("x").await;
    let mut child = sleeper();
    child.kill().unwrap();
    child.wait().unwrap();
    let error = bed.service.acquire(bound(&bed, "a", &child), &person()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::User);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_agent_moves_its_claim_to_another_process_and_keeps_the_token() {
    let bed = Bed::new();
    bed.create("x").await;
    let (mut one, mut two) = (sleeper(), sleeper());
    let first = bed.service.acquire(bound(&bed, "a", &one), &person()).await.unwrap();
    let again = bed.service.acquire(bound(&bed, "a", &two), &person()).await.unwrap();
    assert_eq!((again.token, again.already), (first.token, true));
    one.kill().unwrap();
    one.wait().unwrap();
    assert_eq!(alive(&bed).await, Alive::Yes);
    two.kill().unwrap();
    two.wait().unwrap();
    wait_for_event(&bed, "worktree.claim_orphaned").await;
    // What died held the old token: the agent's next life gets a new one.
    assert!(bed.claim("feat-x", "a").await.unwrap().token > first.token);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_owner_becomes_unknown_and_never_dead() {
    let bed = Bed::new();
    bed.create("x").await;
    let token = bed.claim("feat-x", "a").await.unwrap().token;
    assert_eq!(alive(&bed).await, Alive::Yes);
    bed.clock.fetch_add(901_000, Ordering::SeqCst);
    assert_eq!(alive(&bed).await, Alive::Unknown);
    bed.clock.fetch_add(400 * 86_400_000, Ordering::SeqCst);
    assert_eq!(alive(&bed).await, Alive::Unknown);
    assert_eq!(bed.claim("feat-x", "b").await.unwrap_err().kind, ErrorKind::Conflict);
    let beat = ClaimHeartbeatParams { at: bed.at(), worktree: Some("feat-x".into()), token: Some(token) };
    assert_eq!(bed.service.heartbeat(beat, &person()).await.unwrap().claim.alive, Alive::Yes);
    bed.clock.fetch_add(901_000, Ordering::SeqCst);
    bed.service.touch(&bed.list().await[1].id).await;
    assert_eq!(alive(&bed).await, Alive::Yes);
    bed.clock.fetch_sub(86_400_000, Ordering::SeqCst);
    assert_eq!(alive(&bed).await, Alive::Yes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_of_a_session_lives_and_goes_with_it() {
    let bed = Bed::new();
    bed.create("x").await;
    let params = ClaimAcquireParams { session: Some("s".into()), ..bed.claiming("feat-x", "a") };
    bed.service.acquire(params.clone(), &person()).await.unwrap();
    assert_eq!(alive(&bed).await, Alive::Yes);
    bed.session_lives.store(false, Ordering::SeqCst);
    bed.service.session_ended("s").await.unwrap();
    assert_eq!(alive(&bed).await, Alive::No);
    assert_eq!(bed.events("worktree.claim_orphaned").await.len(), 1);
    assert_eq!(bed.service.acquire(params.clone(), &person()).await.unwrap_err().kind, ErrorKind::User);
    bed.session_lives.store(true, Ordering::SeqCst);
    bed.service.acquire(params, &person()).await.unwrap();
    bed.service.release_session("s").await.unwrap();
    assert_eq!(bed.list().await[1].claim, None);
    assert_eq!(bed.lock_of("feat-x"), None);
}
