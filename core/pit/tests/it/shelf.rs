//! Things that the pool loads in tests: they know how many bytes of them there are at any time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use podium_pit::pool::{Footprint, LoadError, Loaded, Loader};
use tokio::sync::Semaphore;

/// What can be loaded. Clones share it.
#[derive(Clone)]
pub(crate) struct Shelf(Arc<Inner>);

struct Inner {
    books: HashMap<&'static str, Kind>,
    resident: AtomicU64,
    most: AtomicU64,
    loads: Mutex<Vec<String>>,
    faults: Mutex<HashMap<String, Fault>>,
    /// A load takes one; without, loads wait.
    permits: Semaphore,
}

#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) said: u64,
    pub(crate) real: u64,
    pub(crate) cost: Duration,
}

#[derive(Clone)]
pub(crate) enum Fault {
    Error(LoadError),
    Panic,
    /// Loaded, but not to be warmed.
    Warm,
}

pub(crate) struct Book {
    pub(crate) name: String,
    bytes: u64,
    shelf: Arc<Inner>,
    /// Overwritten at the end, so that a use after it shows.
    canary: AtomicU64,
}

const ALIVE: u64 = 0x600d_600d_600d_600d;

impl Book {
    pub(crate) fn check(&self) {
        assert_eq!(
            self.canary.load(Ordering::Relaxed),
            ALIVE,
            "`{}` was unloaded while it was held",
            self.name
        );
    }
}

impl Drop for Book {
    fn drop(&mut self) {
        self.canary.store(0xdead, Ordering::Relaxed);
        self.shelf.resident.fetch_sub(self.bytes, Ordering::SeqCst);
    }
}

pub(crate) fn kind(bytes: u64) -> Kind {
    Kind { said: bytes, real: bytes, cost: Duration::from_millis(100) }
}

impl Shelf {
    pub(crate) fn of(books: impl IntoIterator<Item = (&'static str, Kind)>) -> Self {
        let inner = Inner {
            books: books.into_iter().collect(),
            resident: AtomicU64::new(0),
            most: AtomicU64::new(0),
            loads: Mutex::default(),
            faults: Mutex::default(),
            permits: Semaphore::new(1 << 20),
        };
        Self(Arc::new(inner))
    }

    /// From now on loads wait for [`let_load`](Self::let_load).
    pub(crate) fn hold_loads(&self) {
        self.0.permits.forget_permits(1 << 20);
    }

    pub(crate) fn let_load(&self, loads: usize) {
        self.0.permits.add_permits(loads);
    }

    pub(crate) fn break_down(&self, name: &str, fault: Fault) {
        self.0.faults.lock().unwrap().insert(name.to_owned(), fault);
    }

    pub(crate) fn mend(&self, name: &str) {
        self.0.faults.lock().unwrap().remove(name);
    }

    /// Names in the order in which their loads began.
    pub(crate) fn loads(&self) -> Vec<String> {
        self.0.loads.lock().unwrap().clone()
    }

    pub(crate) fn resident(&self) -> u64 {
        self.0.resident.load(Ordering::SeqCst)
    }

    /// Bytes that were there at once, at most.
    pub(crate) fn most(&self) -> u64 {
        self.0.most.load(Ordering::SeqCst)
    }
}

impl Loader for Shelf {
    type Model = Book;

    fn footprint(&self, name: &str) -> Result<Footprint, LoadError> {
        let kind = self.0.books.get(name).ok_or_else(|| LoadError::new(format!("there is no `{name}`")))?;
        Ok(Footprint { bytes: kind.said, cost: kind.cost })
    }

    fn load(&self, name: &str) -> BoxFuture<'static, Result<Loaded<Book>, LoadError>> {
        let (shelf, name) = (self.0.clone(), name.to_owned());
        let load = async move {
            shelf.loads.lock().unwrap().push(name.clone());
            shelf.permits.acquire().await.unwrap().forget();
            tokio::task::yield_now().await;
            let fault = shelf.faults.lock().unwrap().get(&name).cloned();
            match fault {
                Some(Fault::Error(error)) => return Err(error),
                Some(Fault::Panic) => panic!("as was asked for"),
                Some(Fault::Warm) | None => {}
            }
            let bytes = shelf.books[name.as_str()].real;
            let there = shelf.resident.fetch_add(bytes, Ordering::SeqCst) + bytes;
            shelf.most.fetch_max(there, Ordering::SeqCst);
            Ok(Loaded { model: Book { name, bytes, shelf, canary: AtomicU64::new(ALIVE) }, bytes })
        };
        load.boxed()
    }

    fn warm<'a>(&'a self, name: &'a str, _: &'a Book) -> BoxFuture<'a, Result<(), LoadError>> {
        let cold = matches!(self.0.faults.lock().unwrap().get(name), Some(Fault::Warm));
        let warmed = if cold { Err(LoadError::new("it does not get warm")) } else { Ok(()) };
        std::future::ready(warmed).boxed()
    }

    fn unload(&self, _: &str, model: Box<Book>) -> BoxFuture<'static, ()> {
        async move {
            tokio::task::yield_now().await;
            drop(model);
        }
        .boxed()
    }
}
