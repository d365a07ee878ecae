//! Tests over the real model and over a small package source on this machine.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a failing test panics")]

mod conversation;
mod fetching;
mod files;
mod package;
mod resumption;
mod tokens;

use podium_models::fetch::{FetchEnvironment, fetch};
use podium_models::{LoadedModel, ModelCache, catalogue};
use std::path::PathBuf;
use std::sync::OnceLock;
use tokio_util::sync::CancellationToken;

/// The user's model cache: the real model is fetched once per machine, not once per test.
fn shared_cache() -> ModelCache {
    let dir = std::env::var_os("PODIUM_MODELS").map(PathBuf::from).unwrap_or_else(|| {
        let folders = directories::BaseDirs::new().expect("a home folder");
        folders.cache_dir().join("podium").join("models")
    });
    ModelCache::new(&dir)
}

fn smollm2() -> &'static catalogue::CatalogueEntry {
    catalogue::find("smollm2-135m").unwrap()
}

/// The real model, fetched if need be.
fn model() -> &'static LoadedModel {
    static MODEL: OnceLock<LoadedModel> = OnceLock::new();
    MODEL.get_or_init(|| {
        let cache = shared_cache();
        if !cache.path(smollm2()).exists() {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let environment = FetchEnvironment::from_variables(std::env::vars_os());
            let cancel = CancellationToken::new();
            runtime.block_on(fetch(&cache, smollm2(), &environment, &mut |_| {}, &cancel)).unwrap();
        }
        LoadedModel::load(&cache, smollm2()).unwrap()
    })
}

#[test]
fn every_test_file_is_a_module() {
    let listed = include_str!("main.rs");
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    for file in std::fs::read_dir(folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let module = name.trim_end_matches(".rs");
        assert!(module == "main" || listed.contains(&format!("mod {module};")), "{name} is not compiled");
    }
}
