//! Keeps loaded models while they are used and a while longer.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use podium_config::Live;
use podium_models::{LoadedModel, ModelCache, ModelError, ModelState, catalogue};
use tokio::sync::Mutex;

/// Loads each model once for all who ask, and lets it go when nobody has used it for the configured time.
pub struct ModelHost {
    cache: ModelCache,
    config: Arc<Live>,
    slots: Mutex<HashMap<&'static str, Slot>>,
}

#[derive(Default)]
struct Slot {
    model: Option<LoadedModel>,
    /// Rises with each use; an unloading that was planned for an older use does nothing.
    uses: u64,
}

impl ModelHost {
    #[must_use]
    pub fn new(folder: &Path, config: Arc<Live>) -> Arc<Self> {
        Arc::new(Self { cache: ModelCache::new(folder), config, slots: Mutex::default() })
    }

    #[must_use]
    pub fn cache(&self) -> &ModelCache {
        &self.cache
    }

    /// Longest answer of a local model where nobody gave a bound, in tokens.
    pub(crate) fn max_tokens(&self) -> u32 {
        u32::try_from(self.config.get().integer("sessions.max_tokens")).unwrap_or(512)
    }

    /// Names of the models whose files are here.
    #[must_use]
    pub fn present(&self) -> Vec<String> {
        let usable = |state: &ModelState| matches!(state, ModelState::Present | ModelState::Verified);
        self.cache.list().into_iter().filter(|s| usable(&s.state)).map(|s| s.entry.name.to_owned()).collect()
    }

    /// Whether a model is in memory.
    pub async fn is_loaded(&self, name: &str) -> bool {
        self.slots.lock().await.get(name).is_some_and(|slot| slot.model.is_some())
    }

    /// The model, loaded by the first who asks; others wait for it.
    ///
    /// # Errors
    /// What the model's file says.
    pub async fn load(self: &Arc<Self>, name: Option<&str>) -> Result<LoadedModel, ModelError> {
        let entry = catalogue::find(name.unwrap_or(super::default_model()))?;
        let mut slots = self.slots.lock().await;
        let slot = slots.entry(entry.name).or_default();
        slot.uses += 1;
        let uses = slot.uses;
        if let Some(model) = &slot.model {
            let model = model.clone();
            self.plan_unload(entry.name, uses);
            return Ok(model);
        }
        let cache = self.cache.clone();
        let model = tokio::task::spawn_blocking(move || LoadedModel::load(&cache, entry))
            .await
            .map_err(|_| ModelError::Internal("loading the model ended unexpectedly".to_owned()))??;
        slot.model = Some(model.clone());
        self.plan_unload(entry.name, uses);
        Ok(model)
    }

    fn plan_unload(self: &Arc<Self>, name: &'static str, uses: u64) {
        let seconds = u64::try_from(self.config.get().integer("models.idle_unload_seconds")).unwrap_or(300);
        let host = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            let Some(host) = host.upgrade() else { return };
            let mut slots = host.slots.lock().await;
            if let Some(slot) = slots.get_mut(name).filter(|slot| slot.uses == uses) {
                // A turn that still runs keeps its own handle; the memory goes with the last of them.
                slot.model = None;
            }
        });
    }
}
