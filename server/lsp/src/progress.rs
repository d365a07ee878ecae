//! `$/progress` that the server begins: only where the client shows it, never faster than it can be read.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tower_lsp::ls_types::{
    ProgressToken, WorkDoneProgress, WorkDoneProgressBegin, WorkDoneProgressEnd, WorkDoneProgressReport,
};

use crate::state::State;

/// Shortest time between two reports.
const EVERY: Duration = Duration::from_millis(200);

/// A progress under way. Reports between two due times are dropped, except the last one before the end.
pub(crate) struct Progressing {
    state: Arc<State>,
    token: Option<ProgressToken>,
    next_due: Instant,
    held_back: Option<WorkDoneProgressReport>,
    reported: bool,
}

impl Progressing {
    pub(crate) async fn begin(state: &Arc<State>, token: String, title: String, cancellable: bool) -> Self {
        let token = ProgressToken::String(token);
        let shown = state.editor.create_progress(&token).await;
        let progressing = Self {
            state: Arc::clone(state),
            token: shown.then_some(token),
            next_due: Instant::now(),
            held_back: None,
            reported: false,
        };
        let begin = WorkDoneProgressBegin { title, cancellable: Some(cancellable), ..Default::default() };
        progressing.send(WorkDoneProgress::Begin(begin)).await;
        progressing
    }

    pub(crate) async fn report(&mut self, message: String, percentage: Option<u32>) {
        let report = WorkDoneProgressReport { message: Some(message), percentage, cancellable: None };
        let now = Instant::now();
        if now < self.next_due {
            self.held_back = Some(report);
            return;
        }
        self.next_due = now + EVERY;
        (self.held_back, self.reported) = (None, true);
        self.send(WorkDoneProgress::Report(report)).await;
    }

    /// Ends with at least one report before the end: some editors show nothing else.
    pub(crate) async fn end(mut self, message: String) {
        let last = match self.held_back.take() {
            None if !self.reported => {
                Some(WorkDoneProgressReport { message: Some(message.clone()), ..Default::default() })
            }
            held_back => held_back,
        };
        if let Some(last) = last {
            self.send(WorkDoneProgress::Report(last)).await;
        }
        self.send(WorkDoneProgress::End(WorkDoneProgressEnd { message: Some(message) })).await;
    }

    async fn send(&self, value: WorkDoneProgress) {
        if let Some(token) = &self.token {
            self.state.editor.progress(token, value).await;
        }
    }
}
