use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use podium_watch::{Change, Mode, TreeOptions, Watcher};

use crate::support::{Repository, next, told, until};

#[tokio::test]
async fn too_much_for_a_slow_reader_is_told_as_one_rescan() {
    let repository = Repository::new();
    repository.folder("many");
    let watcher = Watcher::new();
    let at_once = TreeOptions { debounce: Duration::ZERO, ..TreeOptions::default() };
    let mut slow = watcher.watch_tree(repository.root(), at_once).unwrap();
    let fences = [repository.path("fence1"), repository.path("fence2")];
    let mut quick = watcher.watch_files(&fences).unwrap();

    for number in 0..1500 {
        repository.write(&format!("many/{number}"), "");
    }
    // Once the second fence is told, the round of the first one is over, and with it all that came before.
    for fence in fences {
        fs::write(&fence, "").unwrap();
        told(&mut quick, &[fence]).await;
    }

    assert_eq!(next(&mut slow).await, Change::Rescan);
    let after = repository.write("after", "");
    let seen = told(&mut slow, &[after]).await;
    assert!(!seen.iter().any(|path| path.starts_with(repository.path("many"))), "{seen:?}");
}

#[tokio::test]
async fn many_edits_within_the_debounce_time_are_told_once() {
    let repository = Repository::new();
    let patient = TreeOptions { debounce: Duration::from_secs(1), ..TreeOptions::default() };
    let mut changes = Watcher::new().watch_tree(repository.root(), patient).unwrap();

    let mut files: Vec<PathBuf> = Vec::new();
    for number in 0..20 {
        files.push(repository.write(&format!("{number}"), ""));
    }
    files.sort();

    assert_eq!(next(&mut changes).await, Change::Paths(files));
}

#[tokio::test]
async fn a_dropped_watch_frees_its_folders_and_the_watcher_can_be_used_again() {
    let repository = Repository::new();
    repository.folder("a/b");
    let watcher = Watcher::new();
    assert_eq!(watcher.watched_folders(), 0);
    for _ in 0..20 {
        let mut changes = watcher.watch_tree(repository.root(), TreeOptions::default()).unwrap();
        assert_eq!(watcher.watched_folders(), 3);
        let file = repository.write("a/b/file", "");
        told(&mut changes, &[file]).await;
        drop(changes);
        until("the folders are free", || watcher.watched_folders() == 0).await;
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_system_holds_no_watch_when_nobody_watches() {
    let repository = Repository::new();
    let folder = repository.folder("only");
    let watcher = Watcher::new();
    let changes = watcher.watch_tree(&folder, TreeOptions::default()).unwrap();
    assert!(is_watched_by_the_system(&folder));

    drop(changes);

    until("the system forgets the folder", || !is_watched_by_the_system(&folder)).await;
}

/// Looked for by the folder's inode in what the kernel says of this process's open files.
#[cfg(target_os = "linux")]
fn is_watched_by_the_system(folder: &std::path::Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let inode = format!(" ino:{:x} ", fs::metadata(folder).unwrap().ino());
    let descriptors = fs::read_dir("/proc/self/fdinfo").unwrap().flatten();
    // A descriptor may be closed between the two looks.
    let infos = descriptors.filter_map(|descriptor| fs::read_to_string(descriptor.path()).ok());
    infos
        .into_iter()
        .any(|info| info.lines().any(|line| line.starts_with("inotify") && line.contains(&inode)))
}

#[tokio::test]
async fn those_who_watch_the_same_tree_share_its_folders_and_are_all_told() {
    let repository = Repository::new();
    repository.folder("src");
    let watcher = Watcher::new();
    let mut first = watcher.watch_tree(repository.root(), TreeOptions::default()).unwrap();
    let mut second = watcher.clone().watch_tree(repository.root(), TreeOptions::default()).unwrap();
    assert_eq!(watcher.watched_folders(), 2);

    let file = repository.write("src/a.rs", "");
    told(&mut first, &[&file]).await;
    told(&mut second, &[&file]).await;

    drop(first);
    fs::write(&file, "edited").unwrap();
    told(&mut second, &[file]).await;
    assert_eq!(watcher.watched_folders(), 2);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_tree_beyond_the_limit_is_polled_and_says_why() {
    let repository = Repository::new();
    repository.folder("a/b/c");
    let watcher = Watcher::with_max_folders(2);
    let mut changes = watcher.watch_tree(repository.root(), TreeOptions::default()).unwrap();
    let Mode::Polling { reason } = changes.mode() else { panic!("four folders where two are allowed") };
    assert!(reason.contains('2'), "{reason}");
    assert_eq!(watcher.watched_folders(), 0, "a polled tree holds no watches");

    let file = repository.write("a/b/c/file", "");
    told(&mut changes, &[file]).await;
}

#[tokio::test]
async fn a_watch_begun_while_the_last_one_ends_is_told() {
    let repository = Repository::new();
    let file = repository.path("file");
    let watcher = Watcher::new();
    let mut before = watcher.watch_files(std::slice::from_ref(&file)).unwrap();
    for round in 0..50 {
        drop(before);
        before = watcher.watch_files(std::slice::from_ref(&file)).unwrap();
        if round % 10 == 0 {
            fs::write(&file, format!("{round}")).unwrap();
            told(&mut before, &[&file]).await;
        }
    }
}
