use std::fs;

use podium_watch::{Mode, Watcher};

use crate::support::{Repository, rescan, told};

#[tokio::test]
async fn a_file_that_appears_later_is_told() {
    let repository = Repository::new();
    let file = repository.path("config.toml");
    let mut changes = Watcher::new().watch_files(std::slice::from_ref(&file)).unwrap();

    fs::write(&file, "text").unwrap();

    told(&mut changes, &[file]).await;
}

#[tokio::test]
async fn a_file_whose_folders_appear_later_is_told() {
    let repository = Repository::new();
    let file = repository.path("a/b/c/config.toml");
    let mut changes = Watcher::new().watch_files(std::slice::from_ref(&file)).unwrap();

    repository.folder("a/b/c");
    fs::write(&file, "text").unwrap();

    told(&mut changes, &[file]).await;
}

#[tokio::test]
async fn edits_atomic_saves_and_deletion_are_told_and_neighbours_are_not() {
    let repository = Repository::new();
    let file = repository.write("config.toml", "");
    let mut changes = Watcher::new().watch_files(std::slice::from_ref(&file)).unwrap();

    repository.write("neighbour", "");
    fs::write(&file, "edited").unwrap();
    let seen = told(&mut changes, &[&file]).await;
    assert!(seen.iter().eq([&file]), "{seen:?}");

    for text in ["one", "two"] {
        let draft = repository.write("draft", text);
        fs::rename(&draft, &file).unwrap();
        told(&mut changes, &[&file]).await;
    }
    fs::remove_file(&file).unwrap();
    told(&mut changes, &[file]).await;
}

#[cfg(unix)]
#[tokio::test]
async fn an_edit_behind_a_symbolic_link_is_told_under_the_links_name() {
    let repository = Repository::new();
    repository.folder("dotfiles");
    let target = repository.write("dotfiles/config.toml", "");
    repository.folder("home");
    let link = repository.path("home/config.toml");
    std::os::unix::fs::symlink(&target, &link).unwrap();
    let mut changes = Watcher::new().watch_files(std::slice::from_ref(&link)).unwrap();

    fs::write(&target, "edited").unwrap();

    told(&mut changes, &[link]).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn files_that_turn_to_polling_tell_one_rescan_and_are_told_of_later() {
    let repository = Repository::new();
    let file = repository.path("sub/config.toml");
    let watcher = Watcher::with_max_folders(1);
    let mut changes = watcher.watch_files(std::slice::from_ref(&file)).unwrap();
    assert_eq!(changes.mode(), Mode::Native);

    repository.folder("sub");
    rescan(&mut changes).await;
    let Mode::Polling { reason } = changes.mode() else { panic!("two folders where one is allowed") };
    assert!(reason.contains("limit"), "{reason}");

    fs::write(&file, "text").unwrap();
    told(&mut changes, &[file]).await;
}
