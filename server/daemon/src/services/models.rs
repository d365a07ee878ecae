//! `model/*`.

use std::ffi::OsString;

use podium_models::fetch::{FetchEnvironment, FetchPhase, FetchProgress, fetch as fetch_model};
use podium_models::{CatalogueEntry, ModelError, ModelState as CacheState, ModelStatus, catalogue};
use podium_protocol::{
    ErrorKind, ModelChanged, ModelInfo, ModelList, ModelListParams, ModelParams, ModelState, Progress,
    WireError, notify,
};
use podium_sessions::local::default_model;

use crate::call::Call;

pub(crate) async fn list(call: Call, _params: ModelListParams) -> Result<ModelList, WireError> {
    let mut models = Vec::new();
    for status in call.daemon.models.cache().list() {
        models.push(info(&call, status).await);
    }
    Ok(ModelList { models })
}

pub(crate) async fn fetch(call: Call, params: ModelParams) -> Result<ModelChanged, WireError> {
    let entry = entry(&params)?;
    let cache = call.daemon.models.cache().clone();
    let before = cache.status(entry).state;
    let variables = call.env.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let environment = FetchEnvironment::from_variables(variables);
    let cancel = call.peer.gone.child_token();
    let (peer, request) = (std::sync::Arc::clone(&call.peer), call.request);
    let mut report = move |progress: FetchProgress| {
        let message = phase(progress.phase).to_owned();
        let progress = Progress { request, message, done: progress.bytes, total: progress.total };
        peer.notify_lossy(notify::PROGRESS, &progress);
    };
    fetch_model(&cache, entry, &environment, &mut report, &cancel).await.map_err(wire)?;
    let status = cache.status(entry);
    let changed = !matches!(before, CacheState::Present | CacheState::Verified);
    Ok(ModelChanged { model: info(&call, status).await, changed })
}

pub(crate) async fn verify(call: Call, params: ModelParams) -> Result<ModelChanged, WireError> {
    let entry = entry(&params)?;
    let cache = call.daemon.models.cache().clone();
    if matches!(cache.status(entry).state, CacheState::Absent | CacheState::Partial { .. }) {
        return Err(wire(ModelError::NotFetched { name: entry.name.to_owned() }));
    }
    let cancel = call.peer.gone.child_token();
    let (peer, request) = (std::sync::Arc::clone(&call.peer), call.request);
    let work = move || {
        let mut report = |done, total| {
            peer.notify_lossy(
                notify::PROGRESS,
                &Progress { request, message: "verifying".to_owned(), done, total },
            );
        };
        cache.verify(entry, &mut report, &cancel)
    };
    let state = tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| WireError::internal("verifying ended unexpectedly"))?
        .map_err(wire)?;
    let status = ModelStatus { entry, path: call.daemon.models.cache().path(entry), state };
    let model = info(&call, status).await;
    if model.state == ModelState::Corrupt {
        return Err(WireError::conflict(format!(
            "the file of model {} is not what it should be",
            model.name
        ))
        .hint(format!("run `podium models remove {0}` and `podium models fetch {0}`", model.name)));
    }
    Ok(ModelChanged { model, changed: false })
}

pub(crate) async fn remove(call: Call, params: ModelParams) -> Result<ModelChanged, WireError> {
    let entry = entry(&params)?;
    let cache = call.daemon.models.cache().clone();
    let freed = cache.remove(entry).map_err(wire)?;
    let status = cache.status(entry);
    Ok(ModelChanged { model: info(&call, status).await, changed: freed > 0 })
}

fn entry(params: &ModelParams) -> Result<&'static CatalogueEntry, WireError> {
    catalogue::find(params.name.as_deref().unwrap_or(default_model())).map_err(wire)
}

async fn info(call: &Call, status: ModelStatus) -> ModelInfo {
    let ModelStatus { entry, path, state } = status;
    let member = &entry.source.member;
    let verified = state == CacheState::Verified;
    let (state, bytes_present) = match state {
        CacheState::Absent => (ModelState::Absent, 0),
        CacheState::Partial { bytes } => (ModelState::Partial, bytes),
        CacheState::Present | CacheState::Verified => (ModelState::Present, member.bytes),
        CacheState::Corrupt { .. } => (ModelState::Corrupt, std::fs::metadata(&path).map_or(0, |m| m.len())),
    };
    ModelInfo {
        name: entry.name.to_owned(),
        description: entry.description.to_owned(),
        state,
        path: path.to_string_lossy().into_owned(),
        bytes: member.bytes,
        bytes_present,
        sha256: member.sha256.to_owned(),
        licence: format!("{}: {}", entry.licence, entry.licence_note),
        source: format!("Python package {} {}", entry.source.package, entry.source.version),
        verified,
        loaded: call.daemon.models.is_loaded(entry.name).await,
    }
}

fn phase(phase: FetchPhase) -> &'static str {
    match phase {
        FetchPhase::Waiting => "waiting for another process that fetches it",
        FetchPhase::Locating => "locating",
        FetchPhase::Downloading => "downloading",
        FetchPhase::Verifying => "verifying",
        FetchPhase::Unpacking => "unpacking",
    }
}

fn wire(error: ModelError) -> WireError {
    let kind = match error.kind() {
        podium_models::ErrorKind::User => ErrorKind::User,
        podium_models::ErrorKind::NotFound => ErrorKind::NotFound,
        podium_models::ErrorKind::Conflict => ErrorKind::Conflict,
        podium_models::ErrorKind::Busy => ErrorKind::Busy,
        podium_models::ErrorKind::Unavailable => ErrorKind::Unavailable,
        podium_models::ErrorKind::Internal => ErrorKind::Internal,
    };
    let cause = std::error::Error::source(&error).map(|s| format!(": {s}")).unwrap_or_default();
    let mut wire = WireError::new(kind, format!("{error}{cause}"));
    wire.hints = error.hints();
    wire
}
