use std::fs;

use podium_watch::{Mode, TreeOptions, WatchError, Watcher};

use crate::support::{Repository, rescan, told};

#[tokio::test]
async fn an_edit_is_told() {
    let repository = Repository::new();
    repository.folder("src");
    let file = repository.write("src/lib.rs", "before");
    let mut changes = Watcher::new().watch_tree(repository.root(), TreeOptions::default()).unwrap();
    assert_eq!(changes.mode(), Mode::Native);

    fs::write(&file, "after").unwrap();

    assert_eq!(told(&mut changes, &[&file]).await.into_iter().collect::<Vec<_>>(), [file]);
}

#[tokio::test]
async fn a_file_in_a_new_nested_folder_is_told_and_so_are_its_later_edits() {
    let repository = Repository::new();
    let mut changes = Watcher::new().watch_tree(repository.root(), TreeOptions::default()).unwrap();

    repository.folder("a/b/c");
    let file = repository.write("a/b/c/new.rs", "one");
    told(&mut changes, &[&file]).await;

    let later = repository.write("a/b/c/later.rs", "two");
    told(&mut changes, &[later]).await;
    fs::write(&file, "three").unwrap();
    told(&mut changes, &[file]).await;
}

#[tokio::test]
async fn a_deletion_is_told() {
    let repository = Repository::new();
    let file = repository.write("gone.rs", "");
    let mut changes = Watcher::new().watch_tree(repository.root(), TreeOptions::default()).unwrap();

    fs::remove_file(&file).unwrap();

    told(&mut changes, &[file]).await;
}

#[tokio::test]
async fn both_names_of_a_rename_are_told() {
    let repository = Repository::new();
    let (old, new) = (repository.write("old.rs", ""), repository.path("new.rs"));
    let mut changes = Watcher::new().watch_tree(repository.root(), TreeOptions::default()).unwrap();

    fs::rename(&old, &new).unwrap();

    told(&mut changes, &[old, new]).await;
}

#[tokio::test]
async fn a_save_by_renaming_over_the_file_is_told_each_time() {
    let repository = Repository::new();
    let file = repository.write("file.rs", "");
    let mut changes = Watcher::new().watch_tree(repository.root(), TreeOptions::default()).unwrap();

    for text in ["one", "two", "three"] {
        let draft = repository.write("file.rs.tmp", text);
        fs::rename(&draft, &file).unwrap();
        told(&mut changes, &[&file]).await;
    }
}

#[tokio::test]
async fn a_renamed_folder_is_watched_under_its_new_name() {
    let repository = Repository::new();
    repository.folder("old/deep");
    repository.write("old/deep/file.rs", "");
    let watcher = Watcher::new();
    let mut changes = watcher.watch_tree(repository.root(), TreeOptions::default()).unwrap();
    assert_eq!(watcher.watched_folders(), 3);

    fs::rename(repository.path("old"), repository.path("new")).unwrap();
    told(&mut changes, &[repository.path("old"), repository.path("new/deep/file.rs")]).await;

    let file = repository.write("new/deep/file.rs", "edited");
    told(&mut changes, &[file]).await;
    assert_eq!(watcher.watched_folders(), 3, "nothing of the old name is left");
}

/// The folder's old watch and its new one are the same to the system for a moment.
#[tokio::test]
async fn a_folder_moved_into_one_just_made_is_still_watched() {
    let repository = Repository::new();
    let mut changes = Watcher::new().watch_tree(repository.root(), TreeOptions::default()).unwrap();
    for round in 0..10 {
        repository.folder(&format!("loose{round}/deep"));
        told(&mut changes, &[repository.path(&format!("loose{round}/deep"))]).await;

        let home = repository.folder(&format!("home{round}"));
        fs::rename(repository.path(&format!("loose{round}")), home.join("moved")).unwrap();
        told(&mut changes, &[home.join("moved/deep")]).await;

        let file = home.join("moved/deep/file.rs");
        fs::write(&file, "").unwrap();
        told(&mut changes, &[file]).await;
    }
}

#[tokio::test]
async fn a_folder_made_again_under_its_old_name_is_watched() {
    let repository = Repository::new();
    repository.folder("build");
    let mut changes = Watcher::new().watch_tree(repository.root(), TreeOptions::default()).unwrap();
    for round in 0..10 {
        fs::remove_dir_all(repository.path("build")).unwrap();
        repository.folder("build");
        let file = repository.write(&format!("build/{round}"), "");
        told(&mut changes, &[&file]).await;
    }
}

#[tokio::test]
async fn a_root_that_is_deleted_and_made_again_tells_a_rescan_both_times() {
    let repository = Repository::new();
    let root = repository.folder("tree");
    let mut changes = Watcher::new().watch_tree(&root, TreeOptions::default()).unwrap();

    fs::remove_dir(&root).unwrap();
    rescan(&mut changes).await;
    assert!(matches!(changes.mode(), Mode::Polling { .. }));

    fs::create_dir(&root).unwrap();
    rescan(&mut changes).await;
    assert_eq!(changes.mode(), Mode::Native);
    let file = repository.write("tree/file.rs", "");
    told(&mut changes, &[file]).await;
}

#[test]
fn a_root_that_is_missing_or_no_folder_is_an_error() {
    let repository = Repository::new();
    let file = repository.write("file", "");
    let watcher = Watcher::new();
    let missing = watcher.watch_tree(&repository.path("missing"), TreeOptions::default());
    assert!(matches!(missing, Err(WatchError::Root { .. })), "{missing:?}");
    let no_folder = watcher.watch_tree(&file, TreeOptions::default());
    assert!(matches!(no_folder, Err(WatchError::NotAFolder { .. })), "{no_folder:?}");
}
