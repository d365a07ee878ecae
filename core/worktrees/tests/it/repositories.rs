use std::path::Path;

use podium_protocol::{
    ErrorKind, RepoForgetParams, RepoSelector, WorktreeCreateParams, WorktreeListParams,
    WorktreeLocateParams, WorktreeStatusParams, WorktreeSwitchParams,
};

use crate::bed::{Bed, at, person};

async fn create_at(
    bed: &Bed,
    path: &Path,
) -> Result<podium_protocol::WorktreeCreated, podium_protocol::WireError> {
    let params = WorktreeCreateParams { at: at(path), name: Some("x".into()), ..Default::default() };
    bed.service.create(params, &person()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_without_a_repository_is_told() {
    let bed = Bed::empty();
    let error = create_at(&bed, &bed.root).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    let nothing = RepoSelector::default();
    assert_eq!(bed.service.register(&nothing, &person()).await.unwrap_err().kind, ErrorKind::User);
    let relative = RepoSelector { repo: Some("work".into()), ..Default::default() };
    assert_eq!(bed.service.register(&relative, &person()).await.unwrap_err().kind, ErrorKind::User);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_without_a_commit_is_listed_but_has_nothing_to_start_from() {
    let bed = Bed::empty();
    bed.git(&bed.root, &["init", "-q", "work"]);
    let error = create_at(&bed, &bed.work).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::User);
    assert!(error.hints.iter().any(|hint| hint.contains("commit")), "{error:?}");
    assert_eq!(bed.names().await, ["trunk-main"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn worktrees_of_a_bare_repository_lie_beside_it() {
    let bed = Bed::new();
    let bare = bed.root.join("origin.git");
    let made = create_at(&bed, &bare).await.unwrap().worktree;
    assert_eq!(Path::new(&made.path), bed.root.join("origin.git.worktrees/feat-x"));
    let list =
        bed.service.list(WorktreeListParams { at: at(Path::new(&made.path)), all: false }, &person()).await;
    let names: Vec<String> = list.unwrap().worktrees.into_iter().map(|w| w.name).collect();
    assert_eq!(names, ["feat-x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_detached_head_without_trunk_is_started_from_with_a_note() {
    let bed = Bed::empty();
    bed.git(&bed.root, &["init", "-q", "-b", "odd", "work"]);
    let head = bed.commit(&bed.work, "a", "a");
    bed.git(&bed.work, &["checkout", "-q", "--detach"]);
    bed.git(&bed.work, &["branch", "-qD", "odd"]);
    let made = create_at(&bed, &bed.work).await.unwrap();
    assert_eq!(made.worktree.last_commit.unwrap().id, head);
    assert!(made.notes[0].contains("detached"), "{:?}", made.notes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_submodule_is_refused_and_a_repository_around_one_works() {
    let bed = Bed::new();
    bed.git(&bed.root, &["clone", "-q", "origin.git", "outer"]);
    let outer = bed.root.join("outer");
    let add = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../origin.git", "sub"];
    bed.git(&outer, &add);
    bed.git(&outer, &["commit", "-qm", "sub"]);
    let error = create_at(&bed, &outer.join("sub")).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::User);
    assert!(error.message.contains("submodule"), "{error}");
    let made = create_at(&bed, &outer).await.unwrap();
    assert!(made.notes.iter().any(|note| note.contains("submodule")), "{:?}", made.notes);
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_with_spaces_letters_of_any_script_and_bytes_that_are_no_text_work() {
    use std::os::unix::ffi::OsStrExt;
    let bed = Bed::new();
    for (n, name) in [&b"with space"[..], "größe-日本".as_bytes(), b"\xff\xfe"].into_iter().enumerate() {
        let clone = bed.root.join(std::ffi::OsStr::from_bytes(name));
        bed.git(&bed.root, &["clone", "-q", "origin.git", "tmp"]);
        std::fs::rename(bed.root.join("tmp"), &clone).unwrap();
        let made = create_at(&bed, &clone).await.unwrap().worktree;
        assert_eq!(made.path_bytes.is_some(), n == 2);
        let text = format!("file://{}", percent(clone.join("a.txt").as_os_str().as_bytes()));
        let selector = RepoSelector { uri: Some(text), ..Default::default() };
        let found = bed.service.locate(WorktreeLocateParams { at: selector }, &person()).await.unwrap();
        assert_eq!(found.worktree.unwrap().name, "trunk-main");
        let status = WorktreeStatusParams { at: at(&clone), name: Some("feat-x".into()), short: false };
        assert!(bed.service.status(status, &person()).await.unwrap().changed.is_empty());
    }
}

fn percent(bytes: &[u8]) -> String {
    let one = |byte: &u8| match byte {
        b'/' | b'.' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(*byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    bytes.iter().map(one).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn switching_takes_parts_of_names_and_finds_the_same_file() {
    let bed = Bed::new();
    bed.create("login").await;
    bed.create("logout").await;
    let uri = Some(format!("file://{}", bed.work.join("a.txt").display()));
    let go = |name: &str| {
        let selector = RepoSelector { uri: uri.clone(), ..Default::default() };
        let params = WorktreeSwitchParams { at: selector, name: Some(name.to_owned()) };
        let service = bed.service.clone();
        async move { service.switch(params, &person()).await }
    };
    let found = go("login").await.unwrap();
    assert_eq!(found.worktree.name, "feat-login");
    assert!(found.uri.unwrap().ends_with("/work.worktrees/feat-login/a.txt"));
    assert_eq!(go("feat-logo").await.unwrap().worktree.name, "feat-logout");
    assert_eq!(go("feat-log").await.unwrap_err().kind, ErrorKind::User);
    assert_eq!(go("nothing").await.unwrap_err().kind, ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_names_the_changed_paths() {
    let bed = Bed::new();
    let made = bed.create("x").await.worktree;
    let path = Path::new(&made.path);
    std::fs::write(path.join("a.txt"), "changed\n").unwrap();
    std::fs::write(path.join("new.txt"), "new\n").unwrap();
    std::fs::write(path.join("staged.txt"), "staged\n").unwrap();
    bed.git(path, &["add", "staged.txt"]);
    let params = WorktreeStatusParams { at: at(path), name: None, short: false };
    let status = bed.service.status(params, &person()).await.unwrap();
    let mut changed: Vec<_> = status.changed.iter().map(|c| format!("{} {}", c.code, c.path)).collect();
    changed.sort();
    assert_eq!(changed, [" M a.txt", "?? new.txt", "A  staged.txt"]);
    let counts = status.worktree.status.unwrap();
    assert_eq!((counts.staged, counts.modified, counts.untracked), (1, 1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn forgetting_takes_back_locks_and_our_folder() {
    let bed = Bed::new();
    bed.create("x").await;
    bed.create("gone").await;
    bed.remove("feat-gone", false).await.unwrap();
    bed.claim("feat-x", "a").await.unwrap();
    let forget = |force| RepoForgetParams { at: bed.at(), force, layout: false };
    assert_eq!(bed.service.forget(forget(false), &person()).await.unwrap_err().kind, ErrorKind::Conflict);
    let forgotten = bed.service.forget(forget(true), &person()).await.unwrap();
    for what in ["unlocked", "guard", "deleted"] {
        assert!(
            forgotten.undone.iter().any(|undone| undone.contains(what)),
            "{what}: {:?}",
            forgotten.undone
        );
    }
    assert_eq!(bed.lock_of("feat-x"), None);
    assert!(!bed.work.join(".git/podium").exists());
    assert!(bed.service.repos().await.unwrap().repos.is_empty());
    assert_eq!(bed.names().await, ["trunk-main", "feat-x"]);
}
