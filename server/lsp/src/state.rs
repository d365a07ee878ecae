//! What all handlers and tasks of one language server share.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use podium_client::Client;
use tokio::sync::{Notify, watch};
use tower_lsp::ls_types::ProgressToken;

use crate::documents::Documents;
use crate::editor::Editor;
use crate::melody::Readings;
use crate::places::Places;
use crate::radar::Radar;
use crate::shown::Shown;
use crate::subscriptions::Subscriptions;
use crate::uris;

pub(crate) struct State {
    pub(crate) editor: Editor,
    pub(crate) daemon: Client,
    /// `PODIUM_AGENT_ID`: who calls where a request does not say.
    pub(crate) agent_id: Option<String>,
    pub(crate) documents: Mutex<Documents>,
    /// Folders of the window, as URIs.
    pub(crate) folders: Mutex<Vec<String>>,
    pub(crate) mine: Mutex<Mine>,
    pub(crate) places: Places,
    pub(crate) radar: Radar,
    pub(crate) readings: Readings,
    pub(crate) shown: Shown,
    pub(crate) subscriptions: Subscriptions,
    /// Sessions whose progress the editor shows, by progress token.
    pub(crate) followed: Mutex<HashMap<ProgressToken, String>>,
    /// Something changed that hints or the status line may show.
    pub(crate) changed: Notify,
    /// Something was asked, answered or withdrawn.
    pub(crate) inbox: Notify,
    /// Files of open documents may have changed on the disk.
    pub(crate) files: Notify,
    /// A melody was opened or changed.
    pub(crate) melodies: Notify,
    /// Process whose death ends this one.
    pub(crate) parent: watch::Sender<Option<u32>>,
    pub(crate) shut_down: AtomicBool,
    next: AtomicU64,
}

/// Whom this window acts for.
#[derive(Debug, Default)]
pub(crate) struct Mine {
    pub(crate) agents: BTreeSet<String>,
    pub(crate) sessions: BTreeSet<String>,
}

impl State {
    pub(crate) fn new(editor: Editor, daemon: Client, agent_id: Option<String>) -> Arc<Self> {
        let mine = Mine { agents: agent_id.iter().cloned().collect(), sessions: BTreeSet::new() };
        Arc::new(Self {
            editor,
            daemon,
            agent_id,
            documents: Mutex::default(),
            folders: Mutex::default(),
            mine: Mutex::new(mine),
            places: Places::default(),
            radar: Radar::default(),
            readings: Readings::default(),
            shown: Shown::default(),
            subscriptions: Subscriptions::default(),
            followed: Mutex::default(),
            changed: Notify::new(),
            inbox: Notify::new(),
            files: Notify::new(),
            melodies: Notify::new(),
            parent: watch::Sender::new(None),
            shut_down: AtomicBool::new(false),
            next: AtomicU64::new(1),
        })
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.daemon.options().home.root().to_owned()
    }

    /// A number that no other caller gets.
    pub(crate) fn next_number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// The file or folder that a request means which names none: the document that is focused or was last opened
    /// or changed, else the window's first folder.
    pub(crate) fn current_uri(&self) -> Option<String> {
        let home = self.home();
        let document = lock(&self.documents).current().find(|uri| uris::is_source(uri, &home)).cloned();
        document.or_else(|| lock(&self.folders).first().cloned())
    }
}

/// Locks what no panic can leave broken: each change is one assignment.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
