//! Ports, databases, hooks, copies and submodules.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use podium_protocol::{
    ErrorKind, HookApproveParams, HookListParams, WorktreeCreateParams, WorktreeEnv, WorktreeEnvParams,
    WorktreeSubmodulesParams,
};

use crate::bed::{Bed, agent, person};

fn bed(settings: &str) -> Bed {
    let bed = Bed::new();
    configure(&bed, settings);
    bed
}

fn configure(bed: &Bed, settings: &str) {
    std::fs::create_dir_all(bed.work.join(".podium")).unwrap();
    std::fs::write(bed.work.join(".podium/config.toml"), settings).unwrap();
}

async fn env(bed: &Bed, name: &str) -> WorktreeEnv {
    let params = WorktreeEnvParams { at: bed.at(), name: Some(name.to_owned()) };
    bed.service.env(params, &person()).await.unwrap()
}

async fn approve(bed: &Bed) {
    bed.service
        .approve_hooks(HookApproveParams { at: bed.at(), ..Default::default() }, &person())
        .await
        .unwrap();
}

const LEASES: &str = "[worktree]\nports = 2\nport_range = \"23400-23407\"\ndatabase = \"app_{name}\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn ports_and_databases_are_given_once_and_freed_with_the_worktree() {
    let mut bed = bed(LEASES);
    let made = bed.create("x").await;
    let path = PathBuf::from(&made.worktree.path);
    let x = env(&bed, "feat-x").await;
    assert_eq!((x.ports.len(), x.database.as_deref()), (2, Some("app_feat_x")));
    let file = std::fs::read_to_string(path.join(".podium.env")).unwrap();
    assert!(file.contains(&format!("PODIUM_PORT={}\n", x.ports[0])), "{file}");
    assert!(file.contains("PODIUM_DATABASE=app_feat_x\n"), "{file}");
    assert_eq!(bed.git(&path, &["status", "--porcelain"]), "", "the file does not make the tree dirty");
    bed.create("y").await;
    let y = env(&bed, "feat-y").await;
    assert!(x.ports.iter().all(|port| !y.ports.contains(port)));
    // Removed by hand behind our back: free as soon as that is seen.
    bed.git(&bed.work, &["worktree", "remove", "--force", "../work.worktrees/feat-y"]);
    bed.restart().await;
    for name in ["p", "q", "r"] {
        bed.create(name).await;
    }
    let mut all: Vec<u16> = Vec::new();
    for name in ["feat-x", "feat-p", "feat-q", "feat-r"] {
        all.extend(env(&bed, name).await.ports);
    }
    let distinct: HashSet<u16> = all.iter().copied().collect();
    assert_eq!((all.len(), distinct.len()), (8, 8));
    // The range is used up: a worktree is made all the same.
    assert!(bed.create("s").await.created);
    assert_eq!(env(&bed, "feat-s").await.ports, [] as [u16; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worktree_that_comes_back_has_what_it_had_where_that_is_free() {
    let bed = bed(LEASES);
    bed.create("x").await;
    let before = env(&bed, "feat-x").await;
    bed.remove("feat-x", true).await.unwrap();
    crate::removal::undo(&bed).await.unwrap();
    assert_eq!(env(&bed, "feat-x").await, before);
    bed.remove("feat-x", true).await.unwrap();
    bed.create("y").await;
    let y = env(&bed, "feat-y").await;
    crate::removal::undo(&bed).await.unwrap();
    let after = env(&bed, "feat-x").await;
    assert_eq!((after.ports.len(), after.database), (2, before.database));
    assert!(after.ports.iter().all(|port| !y.ports.contains(port)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_waits_for_a_person_and_again_when_it_changes() {
    let bed = bed("[hooks]\npost-create = \"sh setup.sh\"\n");
    bed.commit(&bed.work, "setup.sh", "echo one > made\n");
    bed.git(&bed.work, &["push", "-q", "origin", "main"]);
    let made = bed.create("x").await;
    assert!(made.notes.iter().any(|note| note.contains("imi hooks approve")), "{:?}", made.notes);
    let by_agent = HookApproveParams { at: bed.at(), ..Default::default() };
    assert!(bed.service.approve_hooks(by_agent, &agent("a", "s")).await.is_err());
    let hooks = bed.service.hooks(HookListParams { at: bed.at() }, &person()).await.unwrap().hooks;
    assert!(!hooks[0].approved);
    let stale = HookApproveParams { at: bed.at(), hash: Some("0000".into()), ..Default::default() };
    assert_eq!(bed.service.approve_hooks(stale, &person()).await.unwrap_err().kind, ErrorKind::Conflict);
    approve(&bed).await;
    let made = bed.create("y").await;
    let path = Path::new(&made.worktree.path);
    assert_eq!(std::fs::read_to_string(path.join("made")).unwrap(), "one\n");
    assert_eq!(made.worktree.status.unwrap().untracked, 1);
    assert_eq!(bed.events("hook.ran").await.len(), 1);
    bed.commit(&bed.work, "setup.sh", "echo two > made\n");
    bed.git(&bed.work, &["push", "-q", "origin", "main"]);
    let made = bed.create("z").await;
    assert!(!Path::new(&made.worktree.path).join("made").exists(), "the script is another one now");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_runs_before_can_refuse() {
    let bed =
        bed("[hooks]\npre-create = \"echo no more; exit 1\"\npre-remove = \"! ls keep* > /dev/null 2>&1\"\n");
    bed.create("x").await;
    approve(&bed).await;
    let refused = bed.try_create("y").await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    assert!(refused.message.contains("no more"), "{}", refused.message);
    assert!(!bed.root.join("work.worktrees/feat-y").exists());
    let keep = bed.root.join("work.worktrees/feat-x/keep");
    std::fs::write(&keep, "").unwrap();
    assert!(bed.remove("feat-x", false).await.unwrap_err().message.contains("pre-remove"));
    std::fs::remove_file(&keep).unwrap();
    bed.remove("feat-x", false).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_hangs_is_ended_with_what_it_started_and_one_that_floods_is_bounded() {
    let bed = bed("[hooks]\npost-create = \"sleep 1000 & echo $! > pid; wait\"\ntimeout_seconds = 1\n");
    approve(&bed).await;
    let made = bed.create("x").await;
    assert!(made.notes.iter().any(|note| note.contains("post-create failed")), "{:?}", made.notes);
    let pid = std::fs::read_to_string(Path::new(&made.worktree.path).join("pid")).unwrap();
    let gone = || {
        let status = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
        status.is_empty() || status.contains(") Z ")
    };
    while !gone() {
        tokio::task::yield_now().await;
    }
    configure(&bed, "[hooks]\npost-create = \"yes | head -c 3000000; exit 1\"\n");
    approve(&bed).await;
    let made = bed.create("y").await;
    assert!(made.notes.iter().all(|note| note.len() < 2_000), "{:?}", made.notes);
}

#[tokio::test(flavor = "multi_thread")]
async fn ignored_folders_are_copied_and_what_was_cut_off_is_begun_anew() {
    let mut bed = bed("[worktree]\ncopy = [\"node_modules\", \"notes\", \"missing\"]\n");
    bed.commit(&bed.work, ".gitignore", "node_modules/\n");
    bed.git(&bed.work, &["push", "-q", "origin", "main"]);
    std::fs::create_dir_all(bed.work.join("node_modules/a")).unwrap();
    std::fs::write(bed.work.join("node_modules/a/index.js"), "x").unwrap();
    std::fs::create_dir(bed.work.join("notes")).unwrap();
    std::fs::write(bed.work.join("notes/mine"), "x").unwrap();
    let made = bed.create("x").await;
    let path = PathBuf::from(&made.worktree.path);
    let copied = path.join("node_modules/a/index.js");
    while bed.events("worktree.copied").await.is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(std::fs::read_to_string(&copied).unwrap(), "x");
    assert!(!path.join("notes").exists(), "what is not ignored is not copied");
    assert_eq!(bed.git(&path, &["status", "--porcelain"]), "");
    // As a daemon leaves it that is killed in the middle.
    std::fs::remove_dir_all(path.join("node_modules")).unwrap();
    std::fs::create_dir_all(path.join(".podium-copy.node_modules/half")).unwrap();
    let id = made.worktree.id.clone();
    let note = move |tx: &podium_store::Tx<'_>| {
        let sql = "INSERT INTO tree_copies (worktree, path, started_at) VALUES (?1, CAST('node_modules' AS BLOB), 0)";
        tx.execute(sql, [&id]).map(drop).map_err(podium_store::StoreError::from)
    };
    bed.store.write(podium_store::Durability::Process, note).await.unwrap();
    bed.restart().await;
    while bed.events("worktree.copied").await.len() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(std::fs::read_to_string(&copied).unwrap(), "x");
    assert!(!path.join(".podium-copy.node_modules").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn submodules_come_on_demand() {
    let bed = Bed::new();
    bed.git(&bed.root, &["config", "--global", "protocol.file.allow", "always"]);
    bed.git(&bed.root, &["clone", "-q", "origin.git", "lib"]);
    let lib = bed.root.join("lib");
    bed.git(&bed.work, &["submodule", "--quiet", "add", lib.to_str().unwrap(), "vendor/lib"]);
    bed.git(&bed.work, &["commit", "-qm", "submodule"]);
    bed.git(&bed.work, &["push", "-q", "origin", "main"]);
    let made = bed.create("x").await;
    let file = Path::new(&made.worktree.path).join("vendor/lib/a.txt");
    assert!(
        !file.exists() && made.notes.iter().any(|note| note.contains("imi submodules")),
        "{:?}",
        made.notes
    );
    let params = WorktreeSubmodulesParams { at: bed.at(), name: Some("feat-x".into()) };
    let done = bed.service.submodules(params, &person()).await.unwrap();
    assert_eq!((done.submodules, done.large_files), (vec!["vendor/lib".to_owned()], false));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "one\n");
    let params = WorktreeCreateParams {
        at: bed.at(),
        name: Some("y".into()),
        with_submodules: true,
        ..Default::default()
    };
    let made = bed.service.create(params, &person()).await.unwrap();
    assert!(Path::new(&made.worktree.path).join("vendor/lib/a.txt").exists());
    assert!(!made.notes.iter().any(|note| note.contains("submodules")), "{:?}", made.notes);
}
