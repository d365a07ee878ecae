//! The custom notifications, which only clients get that announce `experimental.podium`.

use podium_protocol::{DaemonStopping, EventNotification, Progress, SessionUpdate, StatusLine};
use serde_json::Value;
use tower_lsp::ls_types::notification::Notification;

macro_rules! notifications {
    ($($name:ident($params:ty) = $method:literal;)*) => {$(
        pub(crate) enum $name {}
        impl Notification for $name {
            type Params = $params;
            const METHOD: &'static str = $method;
        }
    )*};
}

notifications! {
    PodiumEvent(EventNotification) = "podium/event";
    PodiumSessionUpdate(SessionUpdate) = "podium/session/update";
    PodiumStatus(StatusLine) = "podium/status";
    PodiumProgress(ProgressOf) = "podium/progress";
    PodiumDaemonStopping(DaemonStopping) = "podium/daemon/stopping";
}

/// As [`Progress`], with the id of the LSP request, which may be a text.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProgressOf {
    pub(crate) request: Value,
    pub(crate) message: String,
    pub(crate) done: u64,
    pub(crate) total: u64,
}

impl ProgressOf {
    pub(crate) fn new(request: Value, progress: Progress) -> Self {
        let Progress { message, done, total, .. } = progress;
        Self { request, message, done, total }
    }
}
