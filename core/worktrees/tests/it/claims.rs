use podium_protocol::{
    ClaimAcquireParams, ClaimHeartbeatParams, ClaimReleaseParams, ClaimStanding, ClaimVerifyParams, ErrorKind,
};

use crate::bed::{Bed, agent, person};

#[tokio::test(flavor = "multi_thread")]
async fn fifty_contenders_have_one_winner_in_each_of_a_hundred_rounds() {
    let bed = Bed::new();
    bed.create("x").await;
    let mut last = 0;
    for round in 0..100 {
        let tasks: Vec<_> = (0..50)
            .map(|i| {
                let (service, params) = (bed.service.clone(), bed.claiming("feat-x", &format!("agent-{i}")));
                tokio::spawn(async move { service.acquire(params, &person()).await })
            })
            .collect();
        let mut winners = Vec::new();
        let mut owners = Vec::new();
        for task in tasks {
            match task.await.unwrap() {
                Ok(won) => winners.push(won),
                Err(error) => owners.push(error.owner.unwrap().agent_id),
            }
        }
        assert_eq!(winners.len(), 1, "round {round}");
        let won = &winners[0];
        assert!(won.token > last, "round {round}: {} after {last}", won.token);
        last = won.token;
        assert!(owners.iter().all(|owner| *owner == won.agent_id), "round {round}");
        let lock = bed.lock_of("feat-x").unwrap();
        assert!(
            lock.starts_with(&format!("podium: claimed by {} (token {last}) on here", won.agent_id)),
            "{lock}"
        );
        if round < 99 {
            bed.release("feat-x", &won.agent_id).await.unwrap();
            assert_eq!(bed.lock_of("feat-x"), None);
        }
    }
    assert_eq!(last, 100);
    assert_eq!(bed.events("worktree.claimed").await.len(), 100);
    assert_eq!(bed.events("worktree.released").await.len(), 99);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_asks_again_and_gets_the_same_token() {
    let bed = Bed::new();
    bed.create("x").await;
    let first = bed.claim("feat-x", "a").await.unwrap();
    let again = bed.claim("feat-x", "a").await.unwrap();
    assert_eq!((again.token, again.already), (first.token, true));
    let by_branch = bed.claim("feat-x", "b").await.unwrap_err();
    assert!(by_branch.message.contains("claimed by a on here since"), "{by_branch}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_owner_releases_and_only_with_the_current_token() {
    let bed = Bed::new();
    bed.create("x").await;
    let old = bed.claim("feat-x", "a").await.unwrap().token;
    assert_eq!(bed.release("feat-x", "b").await.unwrap_err().owner.unwrap().agent_id, "a");
    bed.release("feat-x", "a").await.unwrap();
    assert_eq!(bed.release("feat-x", "a").await.unwrap_err().kind, ErrorKind::Conflict);
    let new = bed.claim("feat-x", "a").await.unwrap().token;
    let stale = ClaimReleaseParams { token: Some(old), ..bed.releasing("feat-x", "a") };
    let error = bed.service.release(stale, &person()).await.unwrap_err();
    assert!(error.message.contains("stale"), "{error}");
    let beat = ClaimHeartbeatParams { at: bed.at(), worktree: Some("feat-x".into()), token: Some(old) };
    assert_eq!(bed.service.heartbeat(beat.clone(), &person()).await.unwrap_err().kind, ErrorKind::Conflict);
    bed.service
        .heartbeat(ClaimHeartbeatParams { token: Some(new), ..beat.clone() }, &person())
        .await
        .unwrap();
    // A person keeps whatever claim there is; an agent proves that it is its own.
    let bare = ClaimHeartbeatParams { token: None, ..beat };
    let kept = bed.service.heartbeat(bare.clone(), &person()).await.unwrap();
    assert_eq!(kept.claim.agent_id, "a");
    let error = bed.service.heartbeat(bare.clone(), &agent("a", "s")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::User, "{error}");
    let by_token = ClaimReleaseParams { token: Some(new), agent_id: None, ..bed.releasing("feat-x", "a") };
    assert_eq!(bed.service.release(by_token, &person()).await.unwrap().token, new);
    let error = bed.service.heartbeat(bare, &person()).await.unwrap_err();
    assert!(error.message.contains("nobody holds"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dirty_or_merging_tree_is_not_released() {
    let bed = Bed::new();
    let path = bed.create("x").await.worktree.path;
    let path = std::path::Path::new(&path);
    bed.claim("feat-x", "a").await.unwrap();
    std::fs::write(path.join("new.txt"), "new").unwrap();
    assert_eq!(bed.release("feat-x", "a").await.unwrap_err().kind, ErrorKind::Conflict);
    bed.commit_as("a", path, "a.txt", "ours\n");
    bed.commit(&bed.work, "a.txt", "theirs\n");
    let mut merge = std::process::Command::new("git");
    merge.args(["-c", "user.name=A", "-c", "user.email=a@b", "merge", "-q", "main"]).current_dir(path);
    merge.env("PODIUM_AGENT_ID", "a");
    assert!(!merge.output().unwrap().status.success());
    let dirty = ClaimReleaseParams { allow_dirty: true, ..bed.releasing("feat-x", "a") };
    let error = bed.service.release(dirty.clone(), &person()).await.unwrap_err();
    assert!(error.message.contains("middle of a merge"), "{error}");
    bed.git_as("a", path, &["merge", "--abort"]);
    std::fs::write(path.join("more.txt"), "new").unwrap();
    bed.service.release(dirty, &person()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn verifying_tells_mine_stale_other_and_free() {
    let bed = Bed::new();
    bed.create("x").await;
    let ask = |agent: &str, token| {
        let params = ClaimVerifyParams {
            at: bed.at(),
            worktree: Some("feat-x".into()),
            agent_id: Some(agent.into()),
            token,
        };
        let service = bed.service.clone();
        async move { service.verify(params, &person()).await.unwrap().standing }
    };
    assert_eq!(ask("a", None).await, ClaimStanding::Free);
    let old = bed.claim("feat-x", "a").await.unwrap().token;
    bed.release("feat-x", "a").await.unwrap();
    let new = bed.claim("feat-x", "a").await.unwrap().token;
    assert_eq!(ask("a", None).await, ClaimStanding::Mine);
    assert_eq!(ask("a", Some(new)).await, ClaimStanding::Mine);
    assert_eq!(ask("a", Some(old)).await, ClaimStanding::Stale);
    assert_eq!(ask("b", None).await, ClaimStanding::Other);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_has_its_own_name_its_token_and_no_force() {
    let bed = Bed::new();
    bed.create("x").await;
    let caller = agent("a", "session-1");
    let refused = bed.service.acquire(bed.claiming("feat-x", "b"), &caller).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::User);
    let forced = ClaimAcquireParams { force: true, ..bed.claiming("feat-x", "a") };
    assert_eq!(bed.service.acquire(forced, &caller).await.unwrap_err().kind, ErrorKind::User);
    let own = ClaimAcquireParams { agent_id: None, ..bed.claiming("feat-x", "a") };
    let token = bed.service.acquire(own, &caller).await.unwrap().token;
    let claim = bed.list().await[1].claim.clone().unwrap();
    assert_eq!(claim.session.as_deref(), Some("session-1"));
    let bare = ClaimReleaseParams { agent_id: None, ..bed.releasing("feat-x", "a") };
    assert_eq!(bed.service.release(bare.clone(), &caller).await.unwrap_err().kind, ErrorKind::User);
    bed.service.release(ClaimReleaseParams { token: Some(token), ..bare }, &caller).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_takes_over_by_force_and_the_log_says_so() {
    let bed = Bed::new();
    bed.create("x").await;
    let first = bed.claim("feat-x", "a").await.unwrap();
    let forced = ClaimAcquireParams { force: true, ..bed.claiming("feat-x", "b") };
    let second = bed.service.acquire(forced, &person()).await.unwrap();
    assert!(second.token > first.token);
    assert_eq!(second.replaced.unwrap().agent_id, "a");
    let events = bed.events("worktree.claimed").await;
    assert_eq!(events[1].data["forced"], true);
    assert_eq!(events[1].data["replaced"]["agentId"], "a");
    assert!(bed.lock_of("feat-x").unwrap().contains("claimed by b"));
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_wait_get_it_in_the_order_they_came() {
    let bed = Bed::new();
    bed.create("x").await;
    bed.claim("feat-x", "first").await.unwrap();
    let mut waiting = Vec::new();
    for name in ["w1", "w2", "w3"] {
        let params = ClaimAcquireParams { wait: Some(60), ..bed.claiming("feat-x", name) };
        let service = bed.service.clone();
        let mut task = Box::pin(async move { service.acquire(params, &person()).await });
        // Once it waits, it has its place.
        let short = std::time::Duration::from_millis(300);
        assert!(tokio::time::timeout(short, &mut task).await.is_err(), "{name}");
        waiting.push((name, tokio::spawn(task)));
    }
    let mut holder = "first";
    for (name, task) in waiting {
        bed.release("feat-x", holder).await.unwrap();
        // Who comes now without waiting is behind them.
        assert_eq!(bed.claim("feat-x", "late").await.unwrap_err().owner.unwrap().agent_id, name);
        assert_eq!(task.await.unwrap().unwrap().agent_id, name);
        holder = name;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_with_the_owner_or_with_the_worktree() {
    let bed = Bed::new();
    bed.create("x").await;
    bed.claim("feat-x", "a").await.unwrap();
    let wait = |seconds| ClaimAcquireParams { wait: Some(seconds), ..bed.claiming("feat-x", "b") };
    let error = bed.service.acquire(wait(1), &person()).await.unwrap_err();
    assert_eq!(error.owner.unwrap().agent_id, "a");
    let (service, params) = (bed.service.clone(), wait(60));
    let mut task = Box::pin(async move { service.acquire(params, &person()).await });
    assert!(tokio::time::timeout(std::time::Duration::from_millis(200), &mut task).await.is_err());
    bed.remove("feat-x", true).await.unwrap();
    assert_eq!(task.await.unwrap_err().kind, ErrorKind::NotFound);
}
