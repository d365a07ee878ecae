//! Content-addressed artifacts and their search index.
//!
//! The content of an artifact is a file named by its BLAKE3 hash, written and synced before the row that names it
//! commits, so that no row can name lost bytes. The full-text index is derived from the rows: a thread reads what
//! came since its last commit, and a search waits until everything stored before it is visible. An index that is
//! missing or damaged is built anew.

mod blobs;
mod error;
mod index;
mod indexer;
mod rows;
mod views;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use podium_protocol::{Artifact, ArtifactHit, ArtifactListParams, ArtifactSearchParams};
use podium_store::{Durability, NewEvent, Store, Tx};
use serde_json::json;

use crate::blobs::Blobs;
pub use crate::error::ArtifactError;
use crate::indexer::Indexer;

/// Largest artifact that is indexed as text and given as text, in bytes.
pub const MAX_TEXT: usize = 8 * 1024 * 1024;

/// Kinds of artifact.
pub const KINDS: &[&str] = &["code", "docs", "tests", "config", "log", "report"];

/// An artifact about to be stored.
#[derive(Debug, Clone, Default)]
pub struct NewArtifact {
    pub title: String,
    /// One of [`KINDS`].
    pub kind: String,
    pub media_type: String,
    pub content: Vec<u8>,
    pub session: Option<String>,
    pub worktree: Option<String>,
}

/// An artifact whose bytes are safe on the disk and whose row is not written yet.
#[derive(Debug, Clone)]
pub struct Prepared {
    pub artifact: Artifact,
    /// Whether the same content was there already.
    pub duplicate: bool,
    /// Time of the artifact, milliseconds.
    at: i64,
}

impl Prepared {
    /// Writes row and event `artifact.stored` within a transaction of the caller's.
    ///
    /// # Errors
    /// When the database refuses.
    pub fn record(&self, tx: &Tx<'_>) -> Result<(), podium_store::StoreError> {
        rows::insert(tx, &self.artifact, self.at)?;
        let data = json!({
            "id": self.artifact.id,
            "title": self.artifact.title,
            "kind": self.artifact.kind,
            "session": self.artifact.session,
            "worktree": self.artifact.worktree,
            "bytes": self.artifact.bytes,
        });
        tx.emit(&NewEvent::new("artifact.stored", format!("artifact/{}", self.artifact.id), data))?;
        Ok(())
    }
}

/// Content of an artifact and where it lies.
#[derive(Debug, Clone)]
pub struct Content {
    pub artifact: Artifact,
    /// Where it is UTF-8 of at most [`MAX_TEXT`] bytes.
    pub text: Option<String>,
    /// Read-only file with a readable name.
    pub path: PathBuf,
}

/// The artifact store. Cheap to clone.
#[derive(Clone)]
pub struct Artifacts {
    store: Store,
    blobs: Blobs,
    views: Arc<Path>,
    indexer: Indexer,
}

impl Artifacts {
    /// Opens the folder `root`; files for editors are made in `views`. The index is opened with its first use.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(store: Store, root: &Path, views: &Path) -> Result<Self, ArtifactError> {
        let blobs = Blobs::open(&root.join("objects"))?;
        let indexer = Indexer::start(store.clone(), blobs.clone(), root.join("index"))?;
        Ok(Self { store, blobs, views: views.into(), indexer })
    }

    /// Puts the bytes on the disk. [`Prepared::record`] and then [`Artifacts::wake`] make it an artifact.
    ///
    /// # Errors
    /// `Kind` or `Title` for a bad request, else what the disk says.
    pub async fn prepare(&self, new: NewArtifact) -> Result<Prepared, ArtifactError> {
        if !KINDS.contains(&new.kind.as_str()) {
            return Err(ArtifactError::Kind(new.kind));
        }
        if new.title.is_empty() || new.title.chars().count() > 300 {
            return Err(ArtifactError::Title);
        }
        let blobs = self.blobs.clone();
        blocking(move || {
            let (hash, duplicate) = blobs.put(&new.content)?;
            let at = podium_store::now_ms();
            let artifact = Artifact {
                id: uuid::Uuid::now_v7().to_string(),
                hash,
                title: new.title,
                kind: new.kind,
                media_type: new.media_type,
                bytes: new.content.len() as u64,
                session: new.session,
                worktree: new.worktree,
                repo: None,
                created_at: podium_store::rfc3339(at),
            };
            Ok(Prepared { artifact, duplicate, at })
        })
        .await
    }

    /// Stores an artifact with its row and event.
    ///
    /// # Errors
    /// As [`Artifacts::prepare`], or what the database says.
    pub async fn put(&self, new: NewArtifact) -> Result<Prepared, ArtifactError> {
        let prepared = self.prepare(new).await?;
        let row = prepared.clone();
        self.store.write::<_, ArtifactError>(Durability::Power, move |tx| Ok(row.record(tx)?)).await?;
        self.wake();
        Ok(prepared)
    }

    /// Tells the indexer that there is something new.
    pub fn wake(&self) {
        self.indexer.wake();
    }

    /// The artifact with this id, unique beginning of an id (8 characters at least) or hash.
    ///
    /// # Errors
    /// `NotFound`, `Ambiguous`, or that its bytes are damaged.
    pub async fn get(&self, id: &str) -> Result<Content, ArtifactError> {
        let wanted = id.to_owned();
        let artifact = self.store.read(move |conn| rows::find(conn, &wanted)).await?;
        let (blobs, views) = (self.blobs.clone(), Arc::clone(&self.views));
        blocking(move || {
            let bytes = blobs.get(&artifact.hash)?;
            let text = if bytes.len() <= MAX_TEXT { String::from_utf8(bytes).ok() } else { None };
            let path = views::materialise(&views, &blobs, &artifact)?;
            Ok(Content { artifact, text, path })
        })
        .await
    }

    /// Artifacts, newest first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn list(&self, params: ArtifactListParams) -> Result<Vec<Artifact>, ArtifactError> {
        self.list_of(params, None).await
    }

    /// The same; what these sessions made only, if there is a choice.
    ///
    /// # Errors
    /// What the database says.
    pub async fn list_of(
        &self,
        params: ArtifactListParams,
        sessions: Option<Vec<String>>,
    ) -> Result<Vec<Artifact>, ArtifactError> {
        self.store.read(move |conn| rows::list(conn, &params, sessions.as_deref())).await
    }

    /// Full-text search that sees everything stored before the call. An empty query lists the newest.
    ///
    /// # Errors
    /// What index or database say.
    pub async fn search(&self, params: ArtifactSearchParams) -> Result<Vec<ArtifactHit>, ArtifactError> {
        if params.query.trim().is_empty() {
            return self.newest(params).await;
        }
        self.indexer.search(params).await
    }

    async fn newest(&self, params: ArtifactSearchParams) -> Result<Vec<ArtifactHit>, ArtifactError> {
        let ArtifactSearchParams { kind, session, worktree, limit, .. } = params;
        let listed = self
            .list(ArtifactListParams {
                kind,
                session,
                worktree,
                limit: limit.or(Some(20)),
                ..Default::default()
            })
            .await?;
        let hit = |a: Artifact| ArtifactHit {
            id: a.id,
            title: a.title,
            kind: a.kind,
            session: a.session,
            worktree: a.worktree,
            score: 0.0,
            snippet: String::new(),
            created_at: a.created_at,
        };
        Ok(listed.into_iter().map(hit).collect())
    }

    /// Number of artifacts, and whether the index works.
    ///
    /// # Errors
    /// What the database says.
    pub async fn health(&self) -> Result<(u64, Option<String>), ArtifactError> {
        let count = |conn: &podium_store::rusqlite::Connection| {
            let sql = "SELECT count(*) FROM artifacts";
            conn.query_row(sql, [], |row| row.get(0)).map_err(|e| ArtifactError::Store(e.into()))
        };
        Ok((self.store.read(count).await?, self.indexer.fault()))
    }

    /// Finishes indexing what is queued and ends the thread.
    pub fn close(&self) {
        self.indexer.close();
    }
}

async fn blocking<T: Send + 'static>(
    f: impl FnOnce() -> Result<T, ArtifactError> + Send + 'static,
) -> Result<T, ArtifactError> {
    tokio::task::spawn_blocking(f).await.unwrap_or(Err(ArtifactError::Closed))
}
