//! Faults of open melodies, as they are typed. They need no daemon.

use std::sync::Arc;
use std::time::Duration;

use crate::melody;
use crate::shown::Part;
use crate::state::{State, lock};

/// Changes that come together are judged together.
const SETTLE: Duration = Duration::from_millis(60);

pub(crate) async fn judge(state: Arc<State>) {
    loop {
        state.melodies.notified().await;
        tokio::time::sleep(SETTLE).await;
        let open: Vec<String> = lock(&state.documents).uris().cloned().collect();
        state.clear_diagnostics(&open).await;
        for uri in open.into_iter().filter(|uri| melody::format_of(uri).is_some()) {
            let Some(reading) = melody::reading(&state, &uri).await else { continue };
            let found = melody::diagnostics(&reading, state.editor.abilities().encoding);
            // It may have been closed meanwhile: then the next round clears what is shown of it.
            if lock(&state.documents).get(&uri).is_some() {
                state.show_diagnostics(&uri, Part::Melody, found).await;
            }
        }
    }
}
