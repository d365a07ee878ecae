//! The handle that all services share.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use crate::pool::Pool;
use crate::writer::{Durability, Job, Tx, Work, Writer};
use crate::{EventPage, StoreError, migrate, read_events};

#[derive(Debug, Clone)]
pub struct Options {
    pub path: PathBuf,
}

/// The database. Cheap to clone. It closes when [`Store::close`] is called or the last handle goes.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
    pool: Pool,
    head: watch::Sender<u64>,
}

impl Store {
    /// Opens the file, brings it to the newest schema and starts the writer.
    ///
    /// # Errors
    /// When the file is damaged, read-only, of a newer Podium, or the disk is full; each with its own variant.
    pub fn open(options: &Options) -> Result<Self, StoreError> {
        let conn = migrate::open(&options.path)?;
        conn.set_prepared_statement_cache_capacity(128);
        let newest: u64 = conn.query_row("SELECT coalesce(max(seq), 0) FROM events", [], |row| row.get(0))?;
        let (head, _) = watch::channel(newest);
        let (jobs, queue) = mpsc::channel();
        let writer = Writer { conn, path: options.path.clone(), head: head.clone() };
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run(&queue))
            .map_err(|e| StoreError::NotCommitted { reason: e.to_string() })?;
        let inner = Inner {
            path: options.path.clone(),
            jobs: Mutex::new(Some(jobs)),
            thread: Mutex::new(Some(thread)),
            pool: Pool::new(&options.path),
            head,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Runs `f` in a transaction and answers after its commit. `Err` from `f` rolls back what `f` did, and only that.
    ///
    /// # Errors
    /// What `f` gives, or that the commit failed.
    pub async fn write<T, E>(
        &self,
        durability: Durability,
        f: impl FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let answer = self.submit(durability, f)?;
        answer.await.unwrap_or_else(|_| Err(broken().into()))
    }

    /// As [`Store::write`], for a thread that may block.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub fn write_blocking<T, E>(
        &self,
        durability: Durability,
        f: impl FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let answer = self.submit(durability, f)?;
        answer.blocking_recv().unwrap_or_else(|_| Err(broken().into()))
    }

    fn submit<T, E>(
        &self,
        durability: Durability,
        f: impl FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T, E>>, StoreError>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let work: Work = Box::new(move |tx| {
            let result = f(tx);
            let keep = result.is_ok();
            let finish = move |committed: Result<(), String>| {
                let result = match (committed, result) {
                    (Err(reason), Ok(_)) => Err(StoreError::NotCommitted { reason }.into()),
                    (_, result) => result,
                };
                let _ = reply.send(result);
            };
            (keep, Box::new(finish))
        });
        let jobs = self.inner.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = jobs.as_ref().ok_or(StoreError::Closed)?;
        queue.send(Job { durability, work }).map_err(|_| StoreError::Closed)?;
        Ok(answer)
    }

    /// Runs `f` on a read-only connection that sees everything committed so far.
    ///
    /// # Errors
    /// What `f` gives, or that no connection could be opened.
    pub async fn read<T, E>(
        &self,
        f: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.inner.pool.run(f).await
    }

    /// As [`Store::read`], on the calling thread.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub fn read_blocking<T, E: From<StoreError>>(
        &self,
        f: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.inner.pool.run_here(f)
    }

    /// A page of the event log.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn events(&self, from: u64, types: Vec<String>, limit: usize) -> Result<EventPage, StoreError> {
        self.read(move |conn| read_events(conn, from, &types, limit)).await
    }

    /// Sequence number of the oldest event that is still there; head + 1 when there is none.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn oldest_event(&self) -> Result<u64, StoreError> {
        let head = self.head();
        self.read(move |conn| {
            let oldest: Option<u64> = conn.query_row("SELECT min(seq) FROM events", [], |row| row.get(0))?;
            Ok(oldest.unwrap_or(head + 1))
        })
        .await
    }

    /// Sequence number of the newest committed event.
    #[must_use]
    pub fn head(&self) -> u64 {
        *self.inner.head.borrow()
    }

    /// Wakes with each rise of the head.
    #[must_use]
    pub fn watch_head(&self) -> watch::Receiver<u64> {
        self.inner.head.subscribe()
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Finishes what was submitted and ends the writer. Later requests answer [`StoreError::Closed`].
    pub fn close(&self) {
        self.inner.close();
    }
}

impl Inner {
    fn close(&self) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The writer itself may drop the last handle, inside a request; it cannot wait for itself.
        if let Some(thread) = thread.filter(|t| t.thread().id() != std::thread::current().id()) {
            let _ = thread.join();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

fn broken() -> StoreError {
    StoreError::NotCommitted { reason: "the request did not come to its end".to_owned() }
}
