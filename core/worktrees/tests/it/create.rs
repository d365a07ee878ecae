use std::path::Path;

use podium_protocol::{ErrorKind, WorktreeCreateParams, WorktreeState};

use crate::bed::{Bed, at, person};

#[tokio::test(flavor = "multi_thread")]
async fn a_worktree_is_made_from_trunk_and_entered_the_second_time() {
    let bed = Bed::new();
    let made = bed.create("user auth").await;
    assert!(made.created);
    assert_eq!(made.notes, ["`user auth` became `user-auth`"]);
    let tree = &made.worktree;
    assert_eq!((tree.name.as_str(), tree.branch.as_deref()), ("feat-user-auth", Some("feat-user-auth")));
    assert_eq!(Path::new(&tree.path), bed.root.join("work.worktrees/feat-user-auth"));
    assert_eq!((tree.kind.as_str(), tree.state), ("feat", WorktreeState::Ready));
    assert_eq!(std::fs::read_to_string(Path::new(&tree.path).join("a.txt")).unwrap(), "one\n");
    assert!(!bed.git(&bed.work, &["config", "--list", "--local"]).contains("branch.feat"));
    let again = bed.create("user-auth").await;
    assert!(!again.created);
    assert_eq!(again.worktree.id, tree.id);
    let created = bed.events("worktree.created").await;
    assert_eq!(created.len(), 1);
    assert_eq!(created[0].data["origin"], "podium");
}

#[tokio::test(flavor = "multi_thread")]
async fn trunk_is_fetched_first_and_an_unreachable_remote_is_told() {
    let bed = Bed::new();
    std::fs::create_dir(bed.work.join(".podium")).unwrap();
    std::fs::write(bed.work.join(".podium/config.toml"), "[worktrees]\nfetch_fresh_seconds = 0\n").unwrap();
    bed.git(&bed.root, &["clone", "-q", "origin.git", "other"]);
    let newest = bed.commit(&bed.root.join("other"), "b.txt", "two\n");
    bed.git(&bed.root.join("other"), &["push", "-q"]);
    let made = bed.create("fresh").await;
    assert_eq!(made.worktree.last_commit.unwrap().id, newest);
    assert!(made.notes.is_empty(), "{:?}", made.notes);
    std::fs::remove_dir_all(bed.root.join("origin.git")).unwrap();
    let made = bed.create("offline").await;
    assert!(made.notes[0].starts_with("trunk was not fetched"), "{:?}", made.notes);
    assert_eq!(made.worktree.last_commit.unwrap().id, newest);
}

#[tokio::test(flavor = "multi_thread")]
async fn thirteen_at_once_all_succeed() {
    let bed = Bed::new();
    let tasks: Vec<_> = (0..13)
        .map(|i| {
            let params =
                WorktreeCreateParams { at: bed.at(), name: Some(format!("n{i}")), ..Default::default() };
            let service = bed.service.clone();
            tokio::spawn(async move { service.create(params, &person()).await })
        })
        .collect();
    for task in tasks {
        assert!(task.await.unwrap().unwrap().created);
    }
    assert_eq!(bed.list().await.len(), 14);
    assert_eq!(bed.events("worktree.created").await.len(), 13);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_name_asked_for_five_times_at_once_is_made_once() {
    let bed = Bed::new();
    let params = WorktreeCreateParams { at: bed.at(), name: Some("x".into()), ..Default::default() };
    let ask = || {
        let (service, params) = (bed.service.clone(), params.clone());
        tokio::spawn(async move { service.create(params, &person()).await.unwrap().created })
    };
    let mut made = 0;
    for task in [ask(), ask(), ask(), ask(), ask()] {
        made += usize::from(task.await.unwrap());
    }
    assert_eq!(made, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_existing_branch_is_checked_out_as_it_is() {
    let bed = Bed::new();
    bed.git(&bed.work, &["switch", "-qc", "feat-old"]);
    let old = bed.commit(&bed.work, "old.txt", "old\n");
    bed.git(&bed.work, &["switch", "-q", "main"]);
    let made = bed.create("old").await;
    assert_eq!(made.notes, ["branch `feat-old` existed and was checked out as it is"]);
    assert_eq!(made.worktree.last_commit.unwrap().id, old);
    let status = made.worktree.status.unwrap();
    assert_eq!((status.ahead, status.behind), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_git_cannot_keep_side_by_side_are_told_before() {
    let bed = Bed::new();
    bed.create("x").await;
    let error = bed.try_create("x/y").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Conflict);
    assert!(error.message.contains("feat-x"), "{error}");
    for bad in ["--upload-pack=x", "../x", "a..b", "x.lock", "", "a\nb", "."] {
        assert_eq!(bed.try_create(bad).await.unwrap_err().kind, ErrorKind::User, "{bad:?}");
    }
    assert_eq!(bed.names().await, ["trunk-main", "feat-x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn creating_with_an_agent_claims_and_tells_the_owner_to_others() {
    let bed = Bed::new();
    let params = |agent: &str| WorktreeCreateParams {
        at: bed.at(),
        name: Some("x".into()),
        agent_id: Some(agent.into()),
        ..Default::default()
    };
    let made = bed.service.create(params("a"), &person()).await.unwrap();
    assert_eq!(made.worktree.claim.unwrap().agent_id, "a");
    let error = bed.service.create(params("b"), &person()).await.unwrap_err();
    assert_eq!((error.kind, error.owner.unwrap().agent_id.as_str()), (ErrorKind::Conflict, "a"));
    assert!(!bed.service.create(params("a"), &person()).await.unwrap().created);
}

#[tokio::test(flavor = "multi_thread")]
async fn worktrees_of_a_project_folder_are_siblings_of_trunk() {
    let bed = Bed::new();
    let trunk = bed.root.join("project/trunk-main");
    std::fs::create_dir(bed.root.join("project")).unwrap();
    bed.git(&bed.root, &["clone", "-q", "origin.git", trunk.to_str().unwrap()]);
    std::fs::create_dir(trunk.join(".podium")).unwrap();
    std::fs::write(trunk.join(".podium/config.toml"), "[worktrees]\nbranch_style = \"slash\"\n").unwrap();
    let params = WorktreeCreateParams { at: at(&trunk), name: Some("x".into()), ..Default::default() };
    let made = bed.service.create(params, &person()).await.unwrap().worktree;
    assert_eq!(Path::new(&made.path), bed.root.join("project/feat-x"));
    assert_eq!((made.name.as_str(), made.branch.as_deref()), ("feat-x", Some("feat/x")));
}
