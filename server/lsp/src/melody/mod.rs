//! Melody documents: what the language server itself knows a language for. They are read by `podium-melody`, without
//! the daemon, and off the loop.

mod completion;
mod context;
mod describe;
mod diagnostics;
mod features;
mod names;
mod outline;
mod validate;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use podium_melody::{Catalogue, Format};

pub(crate) use completion::completions;
pub(crate) use describe::hover;
pub(crate) use diagnostics::diagnostics;
pub(crate) use features::{announce, dynamic, registrations};
pub(crate) use names::{Named, named_at, occurrences};
pub(crate) use outline::{folds, symbols};
pub(crate) use validate::validate;

use crate::documents::Document;
use crate::state::{State, lock};

/// Everything that is built in.
pub(crate) static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::builtin);

/// An open document that was read as a melody.
pub(crate) struct Reading {
    pub(crate) document: Arc<Document>,
    pub(crate) format: Format,
    pub(crate) read: podium_melody::Document,
    /// The newest melody of this document that could be read: what is being typed may be broken for a moment.
    pub(crate) last: Option<Arc<podium_melody::Melody>>,
}

/// The newest readings, by URI.
#[derive(Default)]
pub(crate) struct Readings {
    by_uri: Mutex<HashMap<String, Arc<Reading>>>,
}

/// The format of a document that is a melody.
pub(crate) fn format_of(uri: &str) -> Option<Format> {
    Format::of_melody(uri)
}

/// Reads an open melody, unless that was done already; nothing for every other document.
pub(crate) async fn reading(state: &Arc<State>, uri: &str) -> Option<Arc<Reading>> {
    let format = format_of(uri)?;
    let document = lock(&state.documents).get(uri).cloned()?;
    let before = lock(&state.readings.by_uri).get(uri).cloned();
    if let Some(reading) = before.as_ref().filter(|reading| Arc::ptr_eq(&reading.document, &document)) {
        return Some(Arc::clone(reading));
    }
    let reading = tokio::task::spawn_blocking(move || {
        let read = podium_melody::read(&document.text, format, &CATALOGUE);
        let melody = read.melody.as_ref().map(|melody| Arc::new(melody.clone()));
        let last = melody.or_else(|| before.and_then(|before| before.last.clone()));
        Arc::new(Reading { document, format, read, last })
    });
    let reading = reading.await.ok()?;
    lock(&state.readings.by_uri).insert(uri.to_owned(), Arc::clone(&reading));
    Some(reading)
}

/// The document was closed.
pub(crate) fn forget(state: &State, uri: &str) {
    lock(&state.readings.by_uri).remove(uri);
}
