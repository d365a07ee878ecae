//! Local models as what the pool loads: GGUF files, their weights in memory.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use podium_models::{LoadedModel, ModelCache, ModelError, ModelState, catalogue};

use super::loader::{Footprint, LoadError, Loaded, Loader};

/// Bytes that are read, hashed and taken apart in a second, for a model that was never loaded here.
const BYTES_A_SECOND: f64 = 500e6;
/// What a network takes beside its weights, which stay as they lie in the file: norms and the tokenizer's tables.
const BESIDE_WEIGHTS: u64 = 24 << 20;

/// Loads models of the catalogue by name, and named files.
#[derive(Debug)]
pub struct LocalModels {
    cache: ModelCache,
    files: HashMap<String, PathBuf>,
}

/// Where a name leads.
enum Source {
    Catalogue(&'static catalogue::CatalogueEntry),
    File(PathBuf),
}

impl LocalModels {
    #[must_use]
    pub fn new(cache: ModelCache) -> Self {
        Self { cache, files: HashMap::new() }
    }

    /// Any GGUF file of a supported kind, under a name that goes before the catalogue's.
    #[must_use]
    pub fn with_file(mut self, name: impl Into<String>, file: PathBuf) -> Self {
        self.files.insert(name.into(), file);
        self
    }

    fn find(&self, name: &str) -> Result<Source, LoadError> {
        match self.files.get(name) {
            Some(file) => Ok(Source::File(file.clone())),
            None => catalogue::find(name).map(Source::Catalogue).map_err(|error| refused(&error)),
        }
    }

    /// Bytes of the file, if it is there and not seen to be damaged.
    fn file_bytes(&self, source: &Source) -> Result<u64, LoadError> {
        let entry = match source {
            Source::File(file) => {
                let metadata = std::fs::metadata(file);
                return metadata
                    .map(|metadata| metadata.len())
                    .map_err(|error| LoadError::new(format!("{} cannot be read: {error}", file.display())));
            }
            Source::Catalogue(entry) => entry,
        };
        match self.cache.status(entry).state {
            ModelState::Present | ModelState::Verified => Ok(entry.source.member.bytes),
            ModelState::Absent | ModelState::Partial { .. } => {
                Err(refused(&ModelError::NotFetched { name: entry.name.to_owned() }))
            }
            ModelState::Corrupt { reason } => {
                let path = self.cache.path(entry);
                Err(refused(&ModelError::Corrupt { name: entry.name.to_owned(), path, reason }))
            }
        }
    }
}

impl Loader for LocalModels {
    type Model = LoadedModel;

    fn footprint(&self, name: &str) -> Result<Footprint, LoadError> {
        let bytes = self.file_bytes(&self.find(name)?)?;
        Ok(Footprint {
            bytes: bytes.saturating_add(BESIDE_WEIGHTS),
            cost: Duration::from_secs_f64(bytes as f64 / BYTES_A_SECOND),
        })
    }

    fn load(&self, name: &str) -> BoxFuture<'static, Result<Loaded<LoadedModel>, LoadError>> {
        let found = self.find(name).and_then(|source| Ok((self.file_bytes(&source)?, source)));
        let cache = self.cache.clone();
        let read = move || {
            let (bytes, source) = found?;
            let model = match source {
                Source::File(file) => LoadedModel::load_file(&file),
                Source::Catalogue(entry) => LoadedModel::load(&cache, entry),
            };
            let model = model.map_err(|error| refused(&error))?;
            Ok(Loaded { model, bytes: bytes.saturating_add(BESIDE_WEIGHTS) })
        };
        blocking(read).boxed()
    }

    fn unload(&self, _name: &str, model: Box<LoadedModel>) -> BoxFuture<'static, ()> {
        // Giving a hundred megabytes back to the system takes milliseconds.
        async move { _ = tokio::task::spawn_blocking(move || drop(model)).await }.boxed()
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LoadError> + Send + 'static,
) -> Result<T, LoadError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(LoadError::new("loading it ended unexpectedly")))
}

fn refused(error: &ModelError) -> LoadError {
    let mut reason = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        reason = format!("{reason}: {cause}");
        source = cause.source();
    }
    LoadError::new(reason).with_hints(error.hints())
}
