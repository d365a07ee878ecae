//! Project folders: made of a clone in place, made by cloning, and a plain clone again.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use podium_protocol::{
    ErrorKind, InitKind, RepoForgetParams, RepoInitParams, RepoInited, UndoKind, UndoListParams, WireError,
    WorktreeListParams, WorktreeUndoParams,
};
use podium_worktrees::{CloneFollower, Step};

use crate::bed::{Bed, agent, at, person};

const STEPS: [Step; 4] = [Step::LayoutIntent, Step::LayoutMoving, Step::LayoutMoved, Step::LayoutMended];

async fn init(bed: &Bed, path: &Path) -> Result<RepoInited, WireError> {
    let params = RepoInitParams { at: at(path), ..Default::default() };
    bed.service.init(params, &person(), CloneFollower::patient()).await
}

async fn clone(bed: &Bed, url: &str, folder: &Path) -> Result<RepoInited, WireError> {
    bed.service.init(cloning(url, folder), &person(), CloneFollower::patient()).await
}

fn cloning(url: &str, folder: &Path) -> RepoInitParams {
    let (url, folder) = (Some(url.to_owned()), Some(folder.to_str().unwrap().to_owned()));
    RepoInitParams { url, folder, ..Default::default() }
}

async fn undo(bed: &Bed, path: &Path, id: Option<&str>) -> Result<(), WireError> {
    let params = WorktreeUndoParams { at: at(path), id: id.map(str::to_owned) };
    bed.service.undo(params, &person()).await.map(drop)
}

/// Names in a folder, hidden ones too.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What git says of a repository: every worktree is usable, nothing is damaged, and the rows say the same.
async fn sound(bed: &Bed, main: &Path) {
    bed.git(main, &["fsck", "--strict", "--no-dangling"]);
    let listed = bed.git(main, &["worktree", "list", "--porcelain"]);
    let mut of_git: Vec<PathBuf> =
        listed.lines().filter_map(|line| line.strip_prefix("worktree ")).map(PathBuf::from).collect();
    for path in &of_git {
        assert_eq!(bed.git(path, &["rev-parse", "--show-toplevel"]).trim(), path.to_str().unwrap());
    }
    let params = WorktreeListParams { at: at(main), all: false };
    let rows = bed.service.list(params, &person()).await.unwrap().worktrees;
    let mut of_rows: Vec<PathBuf> = rows.iter().map(|row| PathBuf::from(&row.path)).collect();
    of_git.sort();
    of_rows.sort();
    assert_eq!(of_rows, of_git);
}

#[tokio::test]
async fn a_clone_becomes_a_project_folder_with_its_worktrees_and_goes_back() {
    let bed = Bed::new();
    std::fs::create_dir_all(bed.work.join(".podium/sync/global")).unwrap();
    std::fs::write(bed.work.join(".podium/sync/.env"), "KEY=1\n").unwrap();
    std::fs::write(bed.work.join(".podium/sync/global/.tool"), "all\n").unwrap();
    bed.create("a").await;
    bed.create("gone").await;
    let plain = bed.root.join("work.worktrees");
    std::fs::write(plain.join("feat-a/draft.txt"), "mine\n").unwrap();
    std::fs::write(plain.join("feat-gone/kept.txt"), "mine\n").unwrap();
    std::fs::write(bed.work.join("note.txt"), "untracked\n").unwrap();
    let removed = bed.remove("feat-gone", true).await.unwrap();

    let made = init(&bed, &bed.work).await.unwrap();
    assert_eq!((made.how, made.project.as_str()), (InitKind::Converted, bed.work.to_str().unwrap()));
    assert_eq!(made.worktree.path, bed.work.join("trunk-main").to_str().unwrap());
    assert_eq!(names(&bed.work), ["feat-a", "sync", "trunk-main"]);
    assert_eq!(names(&bed.work.join("sync")), ["global", "repo"]);
    let left: Vec<_> = names(&bed.root).into_iter().filter(|name| name.contains("work")).collect();
    assert_eq!(left, ["work"], "nothing else is left");
    let (main, feature) = (bed.work.join("trunk-main"), bed.work.join("feat-a"));
    assert_eq!(std::fs::read_to_string(main.join("note.txt")).unwrap(), "untracked\n");
    assert_eq!(std::fs::read_to_string(feature.join("draft.txt")).unwrap(), "mine\n");
    for file in [".env", ".tool"] {
        let link = std::fs::read_link(feature.join(file)).unwrap();
        assert!(link.starts_with("../sync"), "{}", link.display());
        assert!(feature.join(file).exists());
    }
    sound(&bed, &main).await;
    bed.commit(&feature, "more.txt", "x\n");
    let moved = bed.events("repo.moved").await;
    assert_eq!(moved[0].data["root"], main.to_str().unwrap());

    std::fs::create_dir(feature.join("sub")).unwrap();
    let here = bed.service.resolve(&at(&feature.join("sub")), None, &person()).await.unwrap();
    assert_eq!(here.name, "feat-a", "a folder in a worktree is not taken for the project's");
    std::fs::remove_dir(feature.join("sub")).unwrap();

    // From the project folder too, and new ones come beside the others; what was removed comes back there.
    let made_c = podium_protocol::WorktreeCreateParams {
        at: at(&bed.work),
        name: Some("c".to_owned()),
        ..Default::default()
    };
    let made_c = bed.service.create(made_c, &person()).await.unwrap();
    assert_eq!(made_c.worktree.path, bed.work.join("feat-c").to_str().unwrap());
    undo(&bed, &bed.work, Some(&removed.undo)).await.unwrap();
    assert_eq!(std::fs::read_to_string(bed.work.join("feat-gone/kept.txt")).unwrap(), "mine\n");
    sound(&bed, &main).await;
    assert_eq!(init(&bed, &feature).await.unwrap().how, InitKind::Unchanged);

    let undos = bed.service.undos(UndoListParams { at: at(&bed.work) }, &person()).await.unwrap().undos;
    assert!(undos.iter().any(|undo| undo.what == UndoKind::Layout && Some(&undo.id) == made.undo.as_ref()));
    undo(&bed, &bed.work, made.undo.as_deref()).await.unwrap();
    assert!(bed.work.join(".git").is_dir());
    assert_eq!(names(&plain), ["feat-a", "feat-c", "feat-gone"]);
    assert_eq!(std::fs::read_to_string(bed.work.join("note.txt")).unwrap(), "untracked\n");
    assert_eq!(std::fs::read_to_string(plain.join("feat-a/.env")).unwrap(), "KEY=1\n");
    assert!(!names(&bed.root).iter().any(|name| name.contains("podium-")));
    sound(&bed, &bed.work).await;
    let nothing = undo(&bed, &bed.work, made.undo.as_deref()).await.unwrap_err();
    assert_eq!(nothing.kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn a_change_of_the_layout_that_was_cut_off_is_finished_or_taken_back() {
    for step in STEPS {
        let mut bed = Bed::new();
        bed.create("a").await;
        std::fs::write(bed.root.join("work.worktrees/feat-a/draft.txt"), "mine\n").unwrap();
        let (plain, project) = (bed.work.clone(), bed.work.join("trunk-main"));

        *bed.stop_at.lock().unwrap() = Some(step);
        assert!(init(&bed, &bed.work).await.is_err(), "{step:?}");
        bed.restart().await;
        let converted = project.join(".git").is_dir();
        assert_eq!(converted, step != Step::LayoutIntent, "{step:?}");
        let (main, feature) = if converted {
            (project.clone(), bed.work.join("feat-a"))
        } else {
            (plain.clone(), bed.root.join("work.worktrees/feat-a"))
        };
        assert_eq!(std::fs::read_to_string(feature.join("draft.txt")).unwrap(), "mine\n");
        sound(&bed, &main).await;
        assert!(!names(&bed.root).iter().any(|name| name.contains("podium-")), "{step:?}");
        init(&bed, &bed.work).await.unwrap();
        sound(&bed, &project).await;

        *bed.stop_at.lock().unwrap() = Some(step);
        assert!(undo(&bed, &bed.work, None).await.is_err(), "{step:?}");
        bed.restart().await;
        let back = plain.join(".git").is_dir();
        assert_eq!(back, step != Step::LayoutIntent, "{step:?}");
        sound(&bed, if back { &plain } else { &project }).await;
        if !back {
            undo(&bed, &bed.work, None).await.unwrap();
        }
        sound(&bed, &plain).await;
        let draft = bed.root.join("work.worktrees/feat-a/draft.txt");
        assert_eq!(std::fs::read_to_string(draft).unwrap(), "mine\n");
    }
}

#[tokio::test]
async fn a_change_that_cannot_be_finished_is_put_back() {
    let bed = Bed::new();
    bed.create("a").await;
    let feature = bed.root.join("work.worktrees/feat-a");
    // Git cannot mend the links of a worktree whose `.git` is a folder.
    std::fs::rename(feature.join(".git"), feature.join("git-file")).unwrap();
    std::fs::create_dir(feature.join(".git")).unwrap();
    init(&bed, &bed.work).await.unwrap_err();
    assert!(bed.work.join(".git").is_dir() && feature.join("git-file").is_file());
    std::fs::remove_dir(feature.join(".git")).unwrap();
    std::fs::rename(feature.join("git-file"), feature.join(".git")).unwrap();
    sound(&bed, &bed.work).await;
    init(&bed, &bed.work).await.unwrap();
    sound(&bed, &bed.work.join("trunk-main")).await;
}

#[tokio::test]
async fn a_repository_that_is_in_use_or_would_break_is_not_moved() {
    let bed = Bed::new();
    bed.create("a").await;
    bed.claim("feat-a", "claude-1").await.unwrap();
    let claimed = init(&bed, &bed.work).await.unwrap_err();
    assert_eq!((claimed.kind, claimed.owner.unwrap().agent_id.as_str()), (ErrorKind::Conflict, "claude-1"));
    bed.release("feat-a", "claude-1").await.unwrap();

    std::fs::write(bed.work.join(".git/index.lock"), "").unwrap();
    assert_eq!(init(&bed, &bed.work).await.unwrap_err().kind, ErrorKind::Busy);
    std::fs::remove_file(bed.work.join(".git/index.lock")).unwrap();

    bed.git(&bed.work, &["remote", "set-url", "origin", "../origin.git"]);
    let relative = init(&bed, &bed.work).await.unwrap_err();
    assert!(
        relative.message.contains("relative") && relative.hints[0].contains("origin.git"),
        "{relative:?}"
    );
    bed.git(&bed.work, &["remote", "set-url", "origin", bed.root.join("origin.git").to_str().unwrap()]);

    let params = RepoInitParams { at: bed.at(), ..Default::default() };
    let of_agent = bed.service.init(params, &agent("claude-1", "s"), CloneFollower::patient()).await;
    assert!(of_agent.is_err());
    assert_eq!(init(&bed, &bed.root.join("origin.git")).await.unwrap_err().kind, ErrorKind::User);
    assert_eq!(init(&bed, &bed.root.join("home")).await.unwrap_err().kind, ErrorKind::NotFound);

    // A folder of the user's in the project would be left without a place.
    init(&bed, &bed.work).await.unwrap();
    std::fs::write(bed.work.join("todo.txt"), "x").unwrap();
    let other = undo(&bed, &bed.work, None).await.unwrap_err();
    assert!(other.message.contains("todo.txt"), "{other:?}");
    std::fs::remove_file(bed.work.join("todo.txt")).unwrap();
    undo(&bed, &bed.work, None).await.unwrap();
    sound(&bed, &bed.work).await;
}

#[tokio::test]
async fn submodules_move_with_a_clone_and_hold_one_with_theirs_in_another_worktree() {
    let bed = Bed::new();
    let allow = ["-c", "protocol.file.allow=always"];
    bed.git(&bed.root, &["init", "-q", "-b", "main", "lib"]);
    bed.commit(&bed.root.join("lib"), "lib.txt", "l\n");
    let lib = bed.root.join("lib");
    bed.git(
        &bed.work,
        &[&allow[..], &["submodule", "--quiet", "add", lib.to_str().unwrap(), "lib"]].concat(),
    );
    bed.git(&bed.work, &["commit", "-qm", "with a submodule"]);
    init(&bed, &bed.work).await.unwrap();
    let main = bed.work.join("trunk-main");
    assert_eq!(bed.git(&main.join("lib"), &["status", "--short"]), "");
    undo(&bed, &bed.work, None).await.unwrap();
    assert_eq!(bed.git(&bed.work.join("lib"), &["status", "--short"]), "");

    bed.create("a").await;
    let feature = bed.root.join("work.worktrees/feat-a");
    bed.git(&feature, &[&allow[..], &["submodule", "--quiet", "update", "--init"]].concat());
    let held = init(&bed, &bed.work).await.unwrap_err();
    assert!(held.kind == ErrorKind::Conflict && held.message.contains("submodules"), "{held:?}");
}

#[tokio::test]
async fn everything_is_taken_back_from_a_project_folder() {
    let bed = Bed::new();
    std::fs::create_dir_all(bed.work.join(".podium/sync")).unwrap();
    std::fs::write(bed.work.join(".podium/sync/.env"), "KEY=1\n").unwrap();
    bed.create("a").await;
    init(&bed, &bed.work).await.unwrap();
    let params = RepoForgetParams { at: at(&bed.work), force: false, layout: true };
    let forgotten = bed.service.forget(params, &person()).await.unwrap();
    assert!(forgotten.undone[0].starts_with("moved "), "{:?}", forgotten.undone);
    let feature = bed.root.join("work.worktrees/feat-a");
    assert!(bed.work.join(".git").is_dir() && feature.join("a.txt").is_file());
    assert!(feature.join(".env").symlink_metadata().is_err(), "the link is gone");
    assert_eq!(std::fs::read_to_string(bed.work.join(".podium/sync/repo/.env")).unwrap(), "KEY=1\n");
    let exclude = std::fs::read_to_string(bed.work.join(".git/info/exclude")).unwrap_or_default();
    assert!(!exclude.contains(".env"), "{exclude}");
    assert!(!bed.work.join(".git/podium").exists());
    bed.git(&feature, &["status"]);
}

#[tokio::test]
async fn a_url_is_cloned_into_a_project_folder_and_progress_is_told() {
    let bed = Bed::new();
    bed.git(&bed.work, &["push", "-q", "origin", "main:release/1"]);
    let url = format!("file://{}", bed.root.join("origin.git").display());
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = told.clone();
    let follower = CloneFollower {
        progress: Box::new(move |progress| heard.lock().unwrap().push(progress.phase)),
        gone: Box::new(|| false),
    };
    let project = bed.root.join("app");
    let made = bed.service.init(cloning(&url, &project), &person(), follower).await.unwrap();
    assert_eq!(made.how, InitKind::Cloned);
    assert_eq!(names(&project), ["sync", "trunk-main"]);
    assert_eq!(names(&project.join("sync")), ["global", "repo"]);
    assert_eq!(made.worktree.path, project.join("trunk-main").to_str().unwrap());
    assert_eq!(made.worktree.branch.as_deref(), Some("main"));
    assert!(told.lock().unwrap().iter().any(|phase| phase == "Receiving objects"), "{told:?}");
    sound(&bed, &project.join("trunk-main")).await;

    let other =
        RepoInitParams { branch: Some("release/1".to_owned()), ..cloning(&url, &bed.root.join("rel")) };
    bed.service.init(other, &person(), CloneFollower::patient()).await.unwrap();
    assert_eq!(names(&bed.root.join("rel")), ["sync", "trunk-release-1"]);

    std::fs::write(project.join("sync/repo/.env"), "KEY=1\n").unwrap();
    let params = podium_protocol::SyncRunParams { at: at(&project), ..Default::default() };
    let report = bed.service.sync(params, &person()).await.unwrap();
    assert_eq!((report.sources, report.off), (1, 0), "{report:?}");
    assert!(project.join("trunk-main/.env").exists());
}

#[tokio::test]
async fn a_clone_that_fails_or_is_given_up_leaves_nothing() {
    let mut bed = Bed::new();
    let url = format!("file://{}", bed.root.join("origin.git").display());
    let before = names(&bed.root);
    let missing = clone(&bed, "file:///nowhere/at/all.git", &bed.root.join("app")).await.unwrap_err();
    assert_eq!(missing.kind, ErrorKind::NotFound);
    let taken = clone(&bed, &url, &bed.work).await.unwrap_err();
    assert_eq!(taken.kind, ErrorKind::Conflict);
    assert_eq!(
        clone(&bed, "--upload-pack=x", &bed.root.join("app")).await.unwrap_err().kind,
        ErrorKind::User
    );
    let gone = Arc::new(AtomicBool::new(true));
    let asked = gone.clone();
    let follower =
        CloneFollower { progress: Box::new(|_| {}), gone: Box::new(move || asked.load(Ordering::SeqCst)) };
    bed.service.init(cloning(&url, &bed.root.join("app")), &person(), follower).await.unwrap_err();
    assert_eq!(names(&bed.root), before);

    for step in [Step::LayoutIntent, Step::LayoutMoving, Step::LayoutMoved] {
        let project = bed.root.join(format!("app-{step:?}"));
        *bed.stop_at.lock().unwrap() = Some(step);
        clone(&bed, &url, &project).await.unwrap_err();
        bed.restart().await;
        assert_eq!(project.exists(), step == Step::LayoutMoved, "{step:?}");
        assert!(!names(&bed.root).iter().any(|name| name.contains("podium-")), "{step:?}");
    }
    sound(&bed, &bed.root.join("app-LayoutMoved/trunk-main")).await;
}
