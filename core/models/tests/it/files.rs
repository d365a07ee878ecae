//! Model files that are not what they should be.

use crate::{model, shared_cache, smollm2};
use podium_models::{ErrorKind, LoadedModel, ModelCache, ModelError, ModelState, catalogue};
use std::fs::{self, File};
use tokio_util::sync::CancellationToken;

fn verify(cache: &ModelCache) -> ModelState {
    cache.verify(smollm2(), &mut |_, _| {}, &CancellationToken::new()).unwrap()
}

#[test]
fn the_catalogue_is_found_by_name_and_alias() {
    for name in ["smollm2-135m", "SmolLM2", "default"] {
        assert_eq!(catalogue::find(name).unwrap().name, "smollm2-135m");
    }
    let error = catalogue::find("gpt-9").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.hints(), ["known models: smollm2-135m"]);
}

#[test]
fn states_follow_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let cache = ModelCache::new(&folder.path().join("not yet made"));
    assert_eq!(cache.status(smollm2()).state, ModelState::Absent);
    assert_eq!(cache.remove(smollm2()).unwrap(), 0);

    let cache = ModelCache::new(folder.path());
    fs::write(cache.partial_path(smollm2()), [0; 1000]).unwrap();
    assert_eq!(cache.status(smollm2()).state, ModelState::Partial { bytes: 1000 });

    fs::write(cache.path(smollm2()), b"GGUF").unwrap();
    assert!(matches!(cache.status(smollm2()).state, ModelState::Corrupt { .. }));
    assert!(matches!(verify(&cache), ModelState::Corrupt { .. }));

    let file = File::create(cache.path(smollm2())).unwrap();
    file.set_len(smollm2().source.member.bytes).unwrap();
    assert_eq!(cache.list()[0].state, ModelState::Present, "a quick look sees the size only");
    assert!(matches!(verify(&cache), ModelState::Corrupt { .. }));

    assert_eq!(cache.remove(smollm2()).unwrap(), smollm2().source.member.bytes + 1000);
    assert_eq!(cache.status(smollm2()).state, ModelState::Absent);
}

#[test]
fn the_real_file_is_verified_with_progress_and_can_be_cancelled() {
    model();
    let (mut last, mut total) = (0, 0);
    let state = shared_cache()
        .verify(
            smollm2(),
            &mut |done, all| {
                assert!(done > last);
                (last, total) = (done, all);
            },
            &CancellationToken::new(),
        )
        .unwrap();
    assert_eq!(state, ModelState::Verified);
    assert_eq!((last, total), (smollm2().source.member.bytes, smollm2().source.member.bytes));

    let cancel = CancellationToken::new();
    cancel.cancel();
    assert!(matches!(shared_cache().verify(smollm2(), &mut |_, _| {}, &cancel), Err(ModelError::Cancelled)));
}

#[test]
fn missing_short_and_altered_files_say_what_to_do() {
    model();
    let folder = tempfile::tempdir().unwrap();
    let cache = ModelCache::new(folder.path());
    let load = || LoadedModel::load(&cache, smollm2()).map(|_| ()).expect_err("it was loaded");

    let absent = load();
    assert_eq!(absent.kind(), ErrorKind::NotFound);
    assert_eq!(absent.hints(), ["run `podium models fetch smollm2-135m`"]);

    let mut bytes = fs::read(shared_cache().path(smollm2())).unwrap();
    let middle = bytes.len() / 2;
    fs::write(cache.path(smollm2()), &bytes[..middle]).unwrap();
    assert!(matches!(load(), ModelError::Corrupt { .. }));

    bytes[middle] ^= 1;
    fs::write(cache.path(smollm2()), &bytes).unwrap();
    let altered = load();
    assert_eq!(altered.kind(), ErrorKind::Conflict);
    assert!(altered.hints()[0].contains("podium models remove smollm2-135m"), "one wrong bit is found");
}

#[test]
fn the_real_header_cut_anywhere_is_refused() {
    model();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.gguf");
    fs::copy(shared_cache().path(smollm2()), &path).unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    let whole = smollm2().source.member.bytes;
    // Longest first, so that the one copy only ever shrinks.
    for length in [whole - 1, whole / 2, 2_000_000, 1_700_000, 900_000, 100_000, 5000, 800, 30, 24, 7, 0] {
        file.set_len(length).unwrap();
        let error = LoadedModel::load_file(&path).map(|_| ()).expect_err("it was loaded");
        assert!(matches!(error, ModelError::InvalidGguf { .. }), "{length}: {error}");
        assert_eq!(error.kind(), ErrorKind::User);
    }
}

#[test]
fn files_that_are_no_models_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("model.gguf");
    fs::write(&text, "This is not a model.").unwrap();
    let error = LoadedModel::load_file(&text).map(|_| ()).expect_err("it was loaded");
    assert!(matches!(error, ModelError::InvalidGguf { .. }), "{error}");
    for path in [folder.path().join("absent"), folder.path().to_owned()] {
        let error = LoadedModel::load_file(&path).map(|_| ()).expect_err("it was loaded");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
}
