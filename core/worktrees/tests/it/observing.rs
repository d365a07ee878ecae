use podium_worktrees::{Seen, What};
use tokio::sync::broadcast::Receiver;

use crate::bed::{Bed, PATIENCE};

/// Waits for a change that `is` the one.
async fn until(seen: &mut Receiver<Seen>, is: impl Fn(&What) -> bool) {
    let wait = async { while !is(&seen.recv().await.unwrap().what) {} };
    tokio::time::timeout(PATIENCE, wait).await.unwrap();
}

/// The worktree's tree is watched: what is written into it is told.
async fn watched(bed: &Bed, name: &str) -> std::path::PathBuf {
    let found = bed.list().await.into_iter().find(|worktree| worktree.name == name).unwrap();
    let path = std::path::PathBuf::from(&found.path);
    let mut seen = bed.service.seen();
    for round in 0.. {
        std::fs::write(path.join("probe"), round.to_string()).unwrap();
        let wait = until(&mut seen, |what| matches!(what, What::Tree { worktree } if *worktree == found.id));
        if tokio::time::timeout(std::time::Duration::from_millis(300), wait).await.is_ok() {
            break;
        }
    }
    std::fs::remove_file(path.join("probe")).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_made_by_plain_git_become_events_once() {
    let bed = Bed::new();
    bed.create("x").await;
    let _observing = bed.observe();
    let path = bed.work.with_file_name("work.worktrees").join("feat-x");
    bed.claim("feat-x", "claude-1").await.unwrap();
    let first = bed.git(&path, &["rev-parse", "HEAD"]).trim().to_owned();
    let second = bed.commit_as("claude-1", &path, "b.txt", "b\n");
    bed.git_as("claude-1", &path, &["commit", "-q", "--amend", "-m", "better"]);
    let events = bed.events_come("worktree.commit", 2).await;
    let kinds: Vec<_> = events.iter().map(|event| event.data["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["commit", "amend"]);
    assert_eq!(events[0].data["from"], first);
    assert_eq!(events[0].data["to"], second);
    assert_eq!(events[0].data["agentId"], "claude-1");
    assert_eq!(events[1].data["summary"], "better");
    assert_eq!(events[1].data["author"], "Ada");
    assert_eq!(events[1].data["count"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_shows_at_once_what_was_changed_before_it() {
    let bed = Bed::new();
    bed.create("x").await;
    let _observing = bed.observe();
    let path = watched(&bed, "feat-x").await;
    for round in 0..50_u32 {
        std::fs::write(path.join(format!("new-{round}")), "").unwrap();
        let status = bed.list().await[1].status.clone().unwrap();
        assert_eq!(status.untracked, round + 1);
    }
    bed.git(&path, &["add", "-A"]);
    assert_eq!(bed.list().await[1].status.as_ref().unwrap().staged, 50);
    bed.git(&path, &["commit", "-qm", "fifty"]);
    let status = bed.list().await[1].status.clone().unwrap();
    assert_eq!((status.staged, status.ahead, status.behind), (0, 1, 0));
}

/// Each is looked at alone, and has to add up to what git says of the whole.
#[tokio::test(flavor = "multi_thread")]
async fn edits_one_by_one_add_up_to_what_git_says() {
    let bed = Bed::new();
    for number in 0..10 {
        std::fs::write(bed.work.join(format!("f{number}")), "one").unwrap();
    }
    bed.commit(&bed.work, "ten", "files");
    let _observing = bed.observe();
    bed.names().await;
    let path = watched(&bed, "trunk-main").await;
    let write = |name: &str, text: &str| std::fs::write(path.join(name), text).unwrap();
    let remove = |name: &str| std::fs::remove_file(path.join(name)).unwrap();
    let steps: &[&dyn Fn()] = &[
        &|| write("f1", "two"),
        &|| write("f2", "two"),
        &|| write("f1", "one"),
        &|| remove("f3"),
        &|| write("new", ""),
        &|| write("new", "more"),
        &|| std::fs::create_dir(path.join("d")).unwrap(),
        &|| write("d/a", ""),
        &|| write("d/b", ""),
        &|| remove("d/a"),
        &|| remove("d/b"),
        &|| drop(bed.git(&path, &["add", "f2"])),
        &|| write("f2", "three"),
        &|| write("f2", "two"),
        &|| write("f2", "one"),
        &|| std::fs::rename(path.join("f4"), path.join("f5")).unwrap(),
        &|| write("f3", "one"),
        &|| remove("new"),
        &|| drop(bed.git(&path, &["mv", "f6", "moved"])),
        &|| write("moved", "two"),
        &|| write(".gitignore", "f9\n"),
        &|| drop(bed.git(&path, &["checkout", "-q", "-f", "HEAD"])),
    ];
    for (number, step) in steps.iter().enumerate() {
        step();
        let ours = bed.list().await.remove(0).status.unwrap();
        let short = bed.git(&path, &["status", "--porcelain"]);
        let count =
            |test: fn(&str) -> bool| u32::try_from(short.lines().filter(|line| test(line)).count()).unwrap();
        let git = (
            count(|line| !line.starts_with([' ', '?'])),
            count(|line| !line.starts_with('?') && !line[1..].starts_with(' ')),
            count(|line| line.starts_with('?')),
        );
        assert_eq!((ours.staged, ours.modified, ours.untracked), git, "after step {number}: {short}");
    }
}
