//! The thread that owns the index. It is asleep until something is stored or searched for.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use podium_protocol::{ArtifactHit, ArtifactSearchParams};
use podium_store::Store;
use tokio::sync::oneshot;

use crate::blobs::{Blobs, io};
use crate::index::SearchIndex;
use crate::{ArtifactError, rows};

/// Artifacts that become visible with one commit of the index, which costs several milliseconds.
const BATCH: usize = 1_000;

enum Job {
    CatchUp,
    Search(ArtifactSearchParams, oneshot::Sender<Result<Vec<ArtifactHit>, ArtifactError>>),
}

#[derive(Clone)]
pub(crate) struct Indexer {
    inner: Arc<Inner>,
}

struct Inner {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    thread: Mutex<Option<std::thread::JoinHandle<()>>>,
    fault: Arc<Mutex<Option<String>>>,
}

impl Indexer {
    pub(crate) fn start(store: Store, blobs: Blobs, folder: PathBuf) -> Result<Self, ArtifactError> {
        let (jobs, queue) = mpsc::channel();
        let fault = Arc::new(Mutex::new(None));
        let worker = Worker {
            store,
            blobs,
            folder: folder.clone(),
            index: None,
            read_to: 0,
            fault: Arc::clone(&fault),
        };
        let thread = std::thread::Builder::new()
            .name("artifact-index".to_owned())
            .spawn(move || worker.run(&queue))
            .map_err(|e| io(&folder, e))?;
        let inner = Inner { jobs: Mutex::new(Some(jobs)), thread: Mutex::new(Some(thread)), fault };
        Ok(Self { inner: Arc::new(inner) })
    }

    pub(crate) fn wake(&self) {
        self.submit(Job::CatchUp);
    }

    pub(crate) async fn search(
        &self,
        params: ArtifactSearchParams,
    ) -> Result<Vec<ArtifactHit>, ArtifactError> {
        let (reply, answer) = oneshot::channel();
        self.submit(Job::Search(params, reply));
        answer.await.unwrap_or(Err(ArtifactError::Closed))
    }

    /// Why the index does not work, if it does not.
    pub(crate) fn fault(&self) -> Option<String> {
        self.inner.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn close(&self) {
        self.inner.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        let thread = self.inner.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
    }

    fn submit(&self, job: Job) {
        if let Some(jobs) = &*self.inner.jobs.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = jobs.send(job);
        }
    }
}

struct Worker {
    store: Store,
    blobs: Blobs,
    folder: PathBuf,
    index: Option<SearchIndex>,
    read_to: u64,
    fault: Arc<Mutex<Option<String>>>,
}

impl Worker {
    fn run(mut self, queue: &mpsc::Receiver<Job>) {
        while let Ok(first) = queue.recv() {
            // What waits is answered after one catching up.
            let jobs: Vec<Job> = std::iter::once(first).chain(queue.try_iter()).collect();
            let mut caught_up = self.catch_up();
            for job in jobs {
                let Job::Search(params, reply) = job else { continue };
                let found = match std::mem::replace(&mut caught_up, Ok(())) {
                    Ok(()) => self.search(&params),
                    Err(error) => Err(error),
                };
                let _ = reply.send(found);
            }
        }
    }

    fn catch_up(&mut self) -> Result<(), ArtifactError> {
        let result = self.try_catch_up();
        let text = result.as_ref().err().map(ToString::to_string);
        if let Some(error) = &text {
            tracing::error!(error, "indexing failed");
        }
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = text;
        result
    }

    fn try_catch_up(&mut self) -> Result<(), ArtifactError> {
        if self.index.is_none() {
            let index = SearchIndex::open(&self.folder)?;
            self.read_to = index.read_to()?;
            self.index = Some(index);
        }
        let Some(index) = &self.index else { return Ok(()) };
        loop {
            let after = self.read_to;
            let batch = self.store.read_blocking(|conn| rows::arrived(conn, after, BATCH))?;
            let Some((last, _)) = batch.last() else { return Ok(()) };
            let last = *last;
            index.add(&batch, &self.blobs)?;
            self.read_to = last;
        }
    }

    fn search(&self, params: &ArtifactSearchParams) -> Result<Vec<ArtifactHit>, ArtifactError> {
        self.index.as_ref().ok_or(ArtifactError::Closed)?.search(params, &self.blobs)
    }
}
