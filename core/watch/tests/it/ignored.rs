use std::fs;

use podium_watch::{TreeOptions, WatchError, Watcher};

use crate::support::{Repository, rescan, told};

#[tokio::test]
async fn an_ignored_folder_has_no_watches_and_makes_no_events() {
    let repository = Repository::new();
    repository.write(".gitignore", "target/\n*.log\n");
    repository.folder("target/debug/deps");
    repository.folder("src");
    let watcher = Watcher::new();
    let mut changes = watcher.watch_tree(repository.root(), TreeOptions::default()).unwrap();
    assert_eq!(watcher.watched_folders(), 2, "the root and src");

    repository.write("target/debug/deps/a.o", "");
    repository.folder("target/release");
    repository.write("src/noise.log", "");
    repository.write(".git/index", "");
    let fence = repository.write("src/fence.rs", "");

    let seen = told(&mut changes, &[&fence]).await;
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [fence]);
    assert_eq!(watcher.watched_folders(), 2);
}

#[tokio::test]
async fn a_new_ignored_folder_is_not_watched_either() {
    let repository = Repository::new();
    repository.write(".gitignore", "target/\n");
    let watcher = Watcher::new();
    let mut changes = watcher.watch_tree(repository.root(), TreeOptions::default()).unwrap();

    repository.folder("target/debug");
    repository.write("target/debug/a.o", "");
    let fence = repository.write("fence.rs", "");

    let seen = told(&mut changes, &[fence]).await;
    assert!(!seen.iter().any(|path| path.starts_with(repository.path("target"))), "{seen:?}");
    assert_eq!(watcher.watched_folders(), 1);
}

#[tokio::test]
async fn an_edited_gitignore_changes_what_is_watched() {
    let repository = Repository::new();
    let rules = repository.write(".gitignore", "out/\n");
    repository.folder("out");
    let watcher = Watcher::new();
    let mut changes = watcher.watch_tree(repository.root(), TreeOptions::default()).unwrap();
    assert_eq!(watcher.watched_folders(), 1);

    fs::write(&rules, "# nothing\n").unwrap();
    rescan(&mut changes).await;
    assert_eq!(watcher.watched_folders(), 2);
    let file = repository.write("out/file", "");
    told(&mut changes, &[file]).await;

    fs::write(&rules, "out/\n").unwrap();
    rescan(&mut changes).await;
    assert_eq!(watcher.watched_folders(), 1);
}

#[tokio::test]
async fn a_folder_renamed_away_takes_its_ignore_rules_with_it() {
    let repository = Repository::new();
    repository.folder("app");
    repository.write("app/.gitignore", "*.log\n");
    let mut changes = Watcher::new().watch_tree(repository.root(), TreeOptions::default()).unwrap();
    repository.write("app/a.log", "");
    let fence = repository.write("app/fence", "");
    let seen = told(&mut changes, &[&fence]).await;
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [fence]);

    fs::rename(repository.path("app"), repository.path("old")).unwrap();
    repository.folder("app");
    let file = repository.write("app/b.log", "");
    let later = repository.write("old/c.log", "");
    let fence = repository.write("fence", "");

    let seen = told(&mut changes, &[file, fence]).await;
    assert!(!seen.contains(&later), "{seen:?}");
}

#[tokio::test]
async fn the_callers_own_patterns_are_left_out() {
    let repository = Repository::new();
    repository.folder("vendor/lib");
    let watcher = Watcher::new();
    let options = TreeOptions { ignored: vec!["/vendor".to_owned()], ..TreeOptions::default() };
    let mut changes = watcher.watch_tree(repository.root(), options).unwrap();
    assert_eq!(watcher.watched_folders(), 1);

    repository.write("vendor/lib/a.js", "");
    let fence = repository.write("fence", "");
    let seen = told(&mut changes, &[&fence]).await;
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [fence]);
}

#[tokio::test]
async fn all_is_watched_when_nothing_is_to_be_left_out() {
    let repository = Repository::new();
    repository.write(".gitignore", "target/\n");
    repository.folder("target");
    let options = TreeOptions { respect_gitignore: false, skip_git: false, ..TreeOptions::default() };
    let mut changes = Watcher::new().watch_tree(repository.root(), options).unwrap();

    let files = [repository.write("target/a.o", ""), repository.write(".git/HEAD", "")];
    told(&mut changes, &files).await;
}

#[test]
fn a_pattern_that_is_none_is_an_error() {
    let repository = Repository::new();
    let options = TreeOptions { ignored: vec!["a{b".to_owned()], ..TreeOptions::default() };
    let watched = Watcher::new().watch_tree(repository.root(), options);
    assert!(matches!(watched, Err(WatchError::Pattern { .. })), "{watched:?}");
}
