//! Config sync on real repositories.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use podium_protocol::{ErrorKind, FindingKind, SyncReport, SyncRunParams, SyncState, WireError};

use crate::bed::{Bed, agent, person};

/// A clone with the worktrees feat-a and feat-b, and its folder of shared files.
async fn bed() -> (Bed, PathBuf, PathBuf, PathBuf) {
    let bed = Bed::new();
    let a = PathBuf::from(bed.create("a").await.worktree.path);
    let b = PathBuf::from(bed.create("b").await.worktree.path);
    let shared = bed.work.join(".podium/sync");
    fs::create_dir_all(&shared).unwrap();
    (bed, a, b, shared)
}

async fn run(bed: &Bed, params: SyncRunParams) -> Result<SyncReport, WireError> {
    bed.service.sync(SyncRunParams { at: bed.at(), ..params }, &person()).await
}

async fn sync(bed: &Bed) -> SyncReport {
    run(bed, SyncRunParams::default()).await.unwrap()
}

async fn check(bed: &Bed) -> SyncReport {
    run(bed, SyncRunParams { check: true, ..Default::default() }).await.unwrap()
}

async fn background(bed: &Bed) {
    for repo in bed.service.repo_ids().await.unwrap() {
        bed.service.sync_repo(&repo).await.unwrap();
    }
}

fn state(report: &SyncReport, worktree: &str, path: &str) -> Option<SyncState> {
    let tree = report.worktrees.iter().find(|tree| tree.name == worktree).unwrap();
    tree.files.iter().find(|file| file.path == path).map(|file| file.state)
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap()
}

fn backups(bed: &Bed) -> Vec<String> {
    fn files(folder: &Path, found: &mut Vec<String>) {
        for entry in folder.read_dir().into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                files(&entry.path(), found);
            } else {
                found.push(fs::read_to_string(entry.path()).unwrap_or_default());
            }
        }
    }
    let mut found = Vec::new();
    files(&bed.root.join("home/sync-backups"), &mut found);
    found.sort();
    found
}

/// What an editor does that saves by renaming.
fn save(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, path).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_worktree_gets_relative_links_that_leave_it_clean_and_removable() {
    let (bed, a, b, shared) = bed().await;
    fs::write(shared.join(".env"), "A=1").unwrap();
    fs::create_dir_all(shared.join("repo/config/deep")).unwrap();
    fs::write(shared.join("repo/config/deep/x [1].toml"), "x").unwrap();
    let report = sync(&bed).await;
    assert_eq!((report.linked, report.off, report.sources), (6, 0, 2), "{report:#?}");
    for tree in [&a, &b, &bed.work] {
        assert_eq!(read(tree.join(".env")), "A=1");
        assert_eq!(read(tree.join("config/deep/x [1].toml")), "x");
        assert_eq!(bed.git(tree, &["status", "--porcelain"]), "");
    }
    assert_eq!(fs::read_link(a.join(".env")).unwrap(), Path::new("../../work/.podium/sync/.env"));
    let deep = fs::read_link(a.join("config/deep/x [1].toml")).unwrap();
    assert_eq!(deep, Path::new("../../../../work/.podium/sync/repo/config/deep/x [1].toml"));
    assert_eq!(fs::read_link(bed.work.join(".env")).unwrap(), Path::new(".podium/sync/.env"));
    let events = bed.events("config.synced").await;
    assert_eq!((events.len(), &events[0].data["linked"]), (1, &serde_json::json!(6)));
    assert_eq!(sync(&bed).await.linked, 0);
    assert_eq!(bed.events("config.synced").await.len(), 1, "nothing changed, so nothing is told");
    let removed = bed.remove("feat-a", false).await.unwrap();
    let params = podium_protocol::WorktreeUndoParams { at: bed.at(), id: Some(removed.undo) };
    bed.service.undo(params, &person()).await.unwrap();
    assert_eq!(read(a.join(".env")), "A=1");
    assert_eq!(check(&bed).await.off, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_folder_has_its_shared_files_beside_the_worktrees_and_the_more_specific_wins() {
    let bed = Bed::empty();
    let trunk = bed.root.join("p/trunk-main");
    fs::create_dir_all(&trunk).unwrap();
    bed.git(&trunk, &["init", "-q", "-b", "main"]);
    bed.commit(&trunk, "a.txt", "one\n");
    let sync = bed.root.join("p/sync");
    for (path, text) in [
        ("global/.env", "global"),
        ("global/only", "global"),
        ("repo/.env", "repo"),
        ("worktrees/feat-x/.env", "x"),
    ] {
        fs::create_dir_all(sync.join(path).parent().unwrap()).unwrap();
        fs::write(sync.join(path), text).unwrap();
    }
    let params = |name: &str| podium_protocol::WorktreeCreateParams {
        at: crate::bed::at(&trunk),
        name: Some(name.to_owned()),
        ..Default::default()
    };
    let x = bed.service.create(params("x"), &person()).await.unwrap().worktree.path;
    let y = PathBuf::from(bed.service.create(params("y"), &person()).await.unwrap().worktree.path);
    // Worktrees made after the files have their links before creation answers.
    assert_eq!(read(Path::new(&x).join(".env")), "x");
    assert_eq!(read(y.join(".env")), "repo");
    assert_eq!(read(y.join("only")), "global");
    assert_eq!(fs::read_link(y.join(".env")).unwrap(), Path::new("../sync/repo/.env"));
    fs::remove_file(sync.join("repo/.env")).unwrap();
    background(&bed).await;
    assert_eq!(read(y.join(".env")), "global");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_shared_any_more_leaves_nothing_behind_but_what_is_not_ours() {
    let (bed, a, b, shared) = bed().await;
    let exclude = bed.work.join(".git/info/exclude");
    let before = read(&exclude);
    fs::create_dir_all(shared.join("conf/sub")).unwrap();
    fs::write(shared.join("conf/sub/x"), "1").unwrap();
    sync(&bed).await;
    assert!(read(&exclude).contains("/conf/sub/x"));
    fs::write(b.join("conf/own"), "mine").unwrap();
    fs::remove_dir_all(&shared).unwrap();
    let report = sync(&bed).await;
    assert_eq!((report.removed, report.off), (3, 0));
    assert!(!a.join("conf").exists());
    assert_eq!(read(b.join("conf/own")), "mine");
    assert_eq!(read(&exclude), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_an_editor_saved_over_a_link_is_kept_told_and_put_aside_when_asked() {
    let (bed, a, _, shared) = bed().await;
    fs::write(shared.join(".env"), "A=1").unwrap();
    sync(&bed).await;
    save(&a.join(".env"), "B=2");
    background(&bed).await;
    assert_eq!(read(a.join(".env")), "B=2", "nobody asked to replace what was saved");
    let events = bed.events("config.synced").await;
    assert_eq!(events.last().unwrap().data["off"]["replaced"], 1);
    let found = check(&bed).await;
    assert_eq!((state(&found, "feat-a", ".env"), found.off), (Some(SyncState::Replaced), 1));
    let report = sync(&bed).await;
    assert_eq!((report.repaired, report.off), (1, 0));
    assert_eq!(read(a.join(".env")), "A=1");
    assert_eq!(backups(&bed), ["B=2"]);
    let params = podium_protocol::SyncBackupsParams { at: bed.at() };
    let kept = bed.service.sync_backups(params, &person()).await.unwrap().backups;
    assert_eq!((kept.len(), kept[0].worktree.as_str(), kept[0].path.as_str()), (1, "feat-a", ".env"));
    assert_eq!(read(&kept[0].kept), "B=2");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_replaced_a_link_can_become_the_shared_file() {
    let (bed, a, b, shared) = bed().await;
    fs::write(shared.join(".env"), "A=1").unwrap();
    sync(&bed).await;
    save(&a.join(".env"), "B=2");
    let adopt = |path: &str, worktree: Option<&str>| SyncRunParams {
        adopt: Some(path.to_owned()),
        worktree: worktree.map(str::to_owned),
        ..Default::default()
    };
    let report = run(&bed, adopt(".env", None)).await.unwrap();
    assert_eq!((report.adopted, report.off), (1, 0), "{report:#?}");
    assert_eq!(read(shared.join(".env")), "B=2");
    assert_eq!(read(b.join(".env")), "B=2");
    assert!(a.join(".env").is_symlink());
    assert!(backups(&bed).contains(&"A=1".to_owned()));
    // One that was never shared begins to be.
    fs::write(b.join("local.toml"), "new").unwrap();
    run(&bed, adopt("local.toml", Some("feat-b"))).await.unwrap();
    assert_eq!(read(a.join("local.toml")), "new");
    assert_eq!(run(&bed, adopt("nothing", None)).await.unwrap_err().kind, ErrorKind::NotFound);
    assert_eq!(run(&bed, adopt("a.txt", Some("feat-a"))).await.unwrap_err().kind, ErrorKind::Conflict);
    assert_eq!(run(&bed, adopt("../x", None)).await.unwrap_err().kind, ErrorKind::User);
    assert_eq!(run(&bed, adopt(".git/hooks/x", None)).await.unwrap_err().kind, ErrorKind::User);
    let own = SyncRunParams { at: bed.at(), ..adopt(".env", None) };
    assert_eq!(bed.service.sync(own, &agent("x", "s")).await.unwrap_err().kind, ErrorKind::User);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_a_worktrees_own_stays_until_it_is_forced_aside() {
    let (bed, a, _, shared) = bed().await;
    fs::write(a.join(".env"), "mine").unwrap();
    fs::write(bed.work.join(".env"), "main's").unwrap();
    fs::write(shared.join(".env"), "A=1").unwrap();
    let report = sync(&bed).await;
    assert_eq!(state(&report, "feat-a", ".env"), Some(SyncState::Own));
    assert_eq!(state(&report, "trunk-main", ".env"), Some(SyncState::Own));
    assert_eq!(report.off, 1, "in the main worktree that is nothing wrong");
    assert_eq!(read(a.join(".env")), "mine");
    let force = SyncRunParams { force: true, worktree: Some("feat-a".into()), ..Default::default() };
    run(&bed, force).await.unwrap();
    assert_eq!((read(a.join(".env")), read(bed.work.join(".env"))), ("A=1".into(), "main's".into()));
    assert_eq!(backups(&bed), ["mine"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_wrong_and_moved_links_are_set_right() {
    let (bed, a, b, shared) = bed().await;
    fs::write(shared.join(".env"), "A=1").unwrap();
    fs::write(shared.join("other"), "o").unwrap();
    sync(&bed).await;
    fs::remove_file(a.join(".env")).unwrap();
    fs::remove_file(b.join(".env")).unwrap();
    symlink(bed.work.join(".podium/sync/other"), b.join(".env")).unwrap();
    let found = check(&bed).await;
    assert_eq!(state(&found, "feat-a", ".env"), Some(SyncState::Missing));
    assert_eq!(state(&found, "feat-b", ".env"), Some(SyncState::WrongTarget));
    background(&bed).await;
    assert_eq!((read(a.join(".env")), read(b.join(".env"))), ("A=1".into(), "A=1".into()));
    // A link of somebody's in its place is kept like a file.
    fs::remove_file(a.join(".env")).unwrap();
    symlink("/etc/hostname", a.join(".env")).unwrap();
    background(&bed).await;
    assert_eq!(fs::read_link(a.join(".env")).unwrap(), Path::new("/etc/hostname"));
    assert_eq!(sync(&bed).await.repaired, 1);
    assert_eq!(read(a.join(".env")), "A=1");
    bed.git(&bed.work, &["worktree", "move", a.to_str().unwrap(), "../far"]);
    bed.names().await;
    background(&bed).await;
    assert_eq!(fs::read_link(bed.root.join("far/.env")).unwrap(), Path::new("../work/.podium/sync/.env"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_shared_is_refused_with_its_reason() {
    let (bed, a, _, shared) = bed().await;
    fs::create_dir(shared.join("folder")).unwrap();
    fs::write(bed.root.join("secret"), "s").unwrap();
    symlink("nowhere", shared.join("dangling")).unwrap();
    symlink("round", shared.join("about")).unwrap();
    symlink("about", shared.join("round")).unwrap();
    symlink(bed.root.join("secret"), shared.join("secret")).unwrap();
    symlink("folder", shared.join("to-folder")).unwrap();
    fs::write(shared.join("a.txt"), "tracked").unwrap();
    fs::write(shared.join("taken"), "t").unwrap();
    fs::write(shared.join("folder/x"), "x").unwrap();
    symlink("folder/x", shared.join("inside")).unwrap();
    fs::create_dir_all(shared.join(".git/hooks")).unwrap();
    fs::write(shared.join(".git/hooks/pre-commit"), "#!/bin/sh").unwrap();
    fs::create_dir_all(a.join("taken/below")).unwrap();
    // A folder above a place leads out of the worktree.
    symlink(&bed.root, a.join("folder")).unwrap();
    let report = sync(&bed).await;
    for (path, expected) in [
        ("dangling", SyncState::Dangling),
        ("about", SyncState::Loop),
        ("secret", SyncState::Outside),
        ("to-folder", SyncState::Conflict),
        ("a.txt", SyncState::Tracked),
        ("taken", SyncState::Conflict),
        ("folder/x", SyncState::Conflict),
        ("inside", SyncState::Linked),
    ] {
        assert_eq!(state(&report, "feat-a", path), Some(expected), "{path}");
    }
    assert_eq!(state(&report, "feat-a", ".git/hooks/pre-commit"), None);
    assert_eq!(read(a.join("inside")), "x");
    assert_eq!(read(a.join("a.txt")), "one\n");
    assert!(!bed.root.join("x").exists() && !a.join("secret").exists());
    assert!(!report.notes.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_shared_files_that_leads_out_of_the_project_shares_nothing() {
    let (bed, a, _, shared) = bed().await;
    fs::remove_dir(&shared).unwrap();
    fs::create_dir(bed.root.join("elsewhere")).unwrap();
    fs::write(bed.root.join("elsewhere/id_rsa"), "key").unwrap();
    symlink(bed.root.join("elsewhere"), &shared).unwrap();
    let report = sync(&bed).await;
    assert!(report.notes[0].contains("out of the project"), "{report:?}");
    assert!(!a.join("id_rsa").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_daemon_held_aside_is_kept() {
    let (bed, a, _, shared) = bed().await;
    fs::write(shared.join(".env"), "A=1").unwrap();
    sync(&bed).await;
    // Killed between the rename and the new link.
    fs::remove_file(a.join(".env")).unwrap();
    fs::write(a.join("..env.podium-held"), "B=2").unwrap();
    background(&bed).await;
    assert_eq!(read(a.join(".env")), "A=1");
    assert_eq!(backups(&bed), ["B=2"]);
    assert_eq!(bed.git(&a, &["status", "--porcelain"]), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worktree_that_cannot_be_written_is_told_and_the_others_go_on() {
    let (bed, a, b, shared) = bed().await;
    let long = "n".repeat(200);
    fs::create_dir_all(shared.join(&long)).unwrap();
    fs::write(shared.join(".env"), "A=1").unwrap();
    sync(&bed).await;
    // No file can be made below something that is no folder any more, whoever asks.
    fs::remove_dir_all(&a).unwrap();
    fs::write(&a, "not a folder").unwrap();
    fs::write(shared.join("new"), "n").unwrap();
    let report = sync(&bed).await;
    assert!(report.worktrees.iter().all(|tree| tree.name != "feat-a"));
    assert_eq!(read(b.join("new")), "n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_repository_keeps_no_links_and_no_excludes() {
    let (bed, a, _, shared) = bed().await;
    let exclude = bed.work.join(".git/info/exclude");
    fs::write(&exclude, "# mine\n/.env\n").unwrap();
    fs::write(shared.join(".env"), "A=1").unwrap();
    fs::write(shared.join("x"), "1").unwrap();
    sync(&bed).await;
    let params = podium_protocol::RepoForgetParams { at: bed.at(), force: false, layout: false };
    bed.service.forget(params, &person()).await.unwrap();
    assert!(!a.join(".env").is_symlink() && !bed.work.join("x").is_symlink());
    assert_eq!(read(&exclude), "# mine\n/.env\n", "the line of others stays");
    assert_eq!(read(shared.join(".env")), "A=1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_content_that_changed_is_told_once() {
    let (bed, _, _, shared) = bed().await;
    fs::write(shared.join(".env"), "A=1").unwrap();
    background(&bed).await;
    fs::write(shared.join(".env"), "A=1 and more").unwrap();
    background(&bed).await;
    background(&bed).await;
    let events = bed.events("config.synced").await;
    assert_eq!(events.len(), 2);
    assert_eq!(events[1].data["changed"], serde_json::json!([".env"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_git_shows_is_found_by_the_doctor_until_it_is_ignored_again() {
    let (bed, a, _, shared) = bed().await;
    fs::write(shared.join(".env"), "A=1").unwrap();
    sync(&bed).await;
    let found = async || {
        let params = podium_protocol::RepoDoctorParams { at: bed.at() };
        let mut findings = bed.service.diagnose(params, &person()).await.unwrap().findings;
        findings.retain(|finding| finding.what == FindingKind::VisibleLink);
        findings.into_iter().map(|finding| finding.path).collect::<Vec<_>>()
    };
    assert_eq!(found().await, [] as [String; 0]);
    let exclude = bed.work.join(".git/info/exclude");
    let ours = read(&exclude);
    fs::write(&exclude, ours.replace("/.env\n", "")).unwrap();
    assert_eq!(found().await.len(), 3, "every worktree shows it");
    sync(&bed).await;
    assert!(read(&exclude).lines().any(|line| line == "/.env"));
    assert_eq!(found().await, [] as [String; 0]);
    // An ignore file of the worktree outweighs the exclude.
    fs::write(a.join(".gitignore"), "!.env\n").unwrap();
    assert_eq!(found().await, [a.join(".env").to_str().unwrap()]);
}
