//! Real weights in the pool.

#![cfg(feature = "local-models")]

use std::path::PathBuf;
use std::sync::Arc;

use podium_models::fetch::{FetchEnvironment, fetch};
use podium_models::{Generation, LoadedModel, Message, ModelCache, Role, SamplerParams, catalogue};
use podium_pit::pool::{Loader, LocalModels, ModelState, Pool, Settings};
use podium_pit::time::Monotonic;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

const NAME: &str = "smollm2-135m";

/// The user's model cache: the real model is fetched once per machine, not once per test.
async fn shared_cache() -> ModelCache {
    let dir = std::env::var_os("PODIUM_MODELS").map(PathBuf::from).unwrap_or_else(|| {
        let folders = directories::BaseDirs::new().unwrap();
        folders.cache_dir().join("podium").join("models")
    });
    let cache = ModelCache::new(&dir);
    let entry = catalogue::find(NAME).unwrap();
    if !cache.path(entry).exists() {
        let environment = FetchEnvironment::from_variables(std::env::vars_os());
        fetch(&cache, entry, &environment, &mut |_| {}, &CancellationToken::new()).await.unwrap();
    }
    cache
}

fn answer(model: &LoadedModel) -> String {
    let messages = [Message::new(Role::User, "Name one colour of the rainbow.")];
    let prompt = model.encode_conversation(&messages).unwrap();
    let params = SamplerParams { max_tokens: 8, temperature: 0.0, ..SamplerParams::default() };
    let mut generation = Generation::start(model, prompt, params).unwrap();
    let mut text = String::new();
    loop {
        let step = generation.next_token().unwrap();
        text.push_str(&step.text_delta);
        if step.done.is_some() {
            return text;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_local_model_is_loaded_once_goes_for_another_and_answers_the_same_when_it_is_back() {
    let cache = shared_cache().await;
    let file = cache.path(catalogue::find(NAME).unwrap());
    let loader = LocalModels::new(cache).with_file("copy", file);
    let one = loader.footprint(NAME).unwrap().bytes;
    let settings = Settings { budget: one + one / 2, ..Settings::default() };
    let pool = Pool::new(loader, settings, Arc::new(Monotonic::new()), Handle::current());
    let (model, copy) = (pool.intern(NAME).unwrap(), pool.intern("copy").unwrap());

    let (first, second) = tokio::join!(pool.acquire(model), pool.acquire(model));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!((first.generation(), pool.metrics().loads), (second.generation(), 1), "one load for both");
    drop(second);
    let before = answer(&first);
    assert!(before.chars().any(char::is_alphabetic), "{before:?}");

    // Both do not fit: the other waits until this one is let go of.
    let other = tokio::spawn({
        let pool = pool.clone();
        async move { pool.acquire(copy).await.unwrap() }
    });
    let generation = first.generation();
    drop(first);
    let other = other.await.unwrap();
    let view = pool.view();
    assert_eq!((view.models[0].state, view.models[1].state), (ModelState::Unloaded, ModelState::Active));
    assert!(view.used <= view.budget);
    assert_eq!(answer(&other), before, "the same weights");
    drop(other);

    let back = pool.acquire(model).await.unwrap();
    assert_ne!(back.generation(), generation);
    assert_eq!(answer(&back), before);
    assert_eq!((pool.metrics().loads, pool.metrics().evictions), (3, 2));
}

#[tokio::test]
async fn a_model_that_is_not_here_fails_with_what_to_do_and_an_unknown_one_with_what_there_is() {
    let folder = tempfile::tempdir().unwrap();
    let loader = LocalModels::new(ModelCache::new(folder.path()));
    let pool = Pool::new(loader, Settings::default(), Arc::new(Monotonic::new()), Handle::current());
    let absent = pool.intern(NAME).unwrap();
    let error = pool.acquire(absent).await.unwrap_err().to_string();
    assert!(error.contains("is not on this machine"), "{error}");
    let unknown = pool.intern("gpt-9").unwrap();
    pool.acquire(unknown).await.unwrap_err();
    let view = pool.view();
    assert_eq!(view.models[0].hints, ["run `podium models fetch smollm2-135m`"]);
    assert_eq!(view.models[1].hints, ["known models: smollm2-135m"]);
}
