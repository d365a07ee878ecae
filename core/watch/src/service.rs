//! The thread that owns all state: it hears of events, of those who begin and end a watch, and of time.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use crate::backend::Backend;
use crate::changes::{Batch, Mailbox};
use crate::fence::Fences;
use crate::inbox::{Command, Inbox, OsEvent, Source, Subscribe};
use crate::options::Mode;
use crate::tree::{Tree, TreeKey};
use crate::watcher::Shared;

/// A source that never rests is told of after this many debounce times.
const MAX_WAIT: u32 = 4;

struct Subscription {
    mailbox: Arc<Mailbox>,
    source: Source,
    debounce: Duration,
    staged: Batch,
    /// When the first staged change came, and when to tell.
    since: Option<(Instant, Instant)>,
}

impl Subscription {
    /// Something was staged: tell when it has been quiet for a while, but not too late.
    fn postpone(&mut self, now: Instant) {
        let first = self.since.map_or(now, |(first, _)| first);
        self.since = Some((first, (now + self.debounce).min(first + self.debounce * MAX_WAIT)));
    }

    fn set_mode(&self, mode: Mode) {
        self.mailbox.set_mode(mode);
    }

    fn due(&self) -> Option<Instant> {
        let poll = match &self.source {
            Source::Files(files) => files.due(),
            Source::Tree { .. } => None,
        };
        [self.since.map(|(_, due)| due), poll].into_iter().flatten().min()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.mailbox.close();
    }
}

pub(crate) struct Service {
    inbox: Arc<Inbox>,
    backend: Backend,
    trees: HashMap<Arc<TreeKey>, Tree>,
    subscriptions: HashMap<u64, Subscription>,
    fences: Fences,
}

impl Service {
    pub(crate) fn new(inbox: Arc<Inbox>, backend: Backend, fences: Fences) -> Self {
        Self { inbox, backend, trees: HashMap::new(), subscriptions: HashMap::new(), fences }
    }

    /// Runs until nobody watches anything.
    pub(crate) fn run(mut self, shared: &Shared) {
        loop {
            let arrived = self.inbox.take(self.due());
            if arrived.overflow {
                tracing::debug!("events were lost; everything is looked at again");
                self.resync();
                self.fences.pass_all();
            } else {
                self.events(&arrived.events);
                self.fences.pass(&arrived.events);
            }
            // Callers are answered only once the watch stands, so an answered caller misses nothing from here on.
            for command in arrived.commands {
                self.command(command);
            }
            self.tick(Instant::now());
            if self.subscriptions.is_empty() && shared.retire(&self.inbox) {
                return;
            }
        }
    }

    fn due(&self) -> Option<Instant> {
        let trees = self.trees.values().filter_map(Tree::due);
        trees.chain(self.subscriptions.values().filter_map(Subscription::due)).min()
    }

    fn events(&mut self, events: &[OsEvent]) {
        if events.is_empty() {
            return;
        }
        let backend = &mut self.backend;
        let mut trees: HashMap<Arc<TreeKey>, Batch> = HashMap::new();
        for event in events {
            for (key, tree) in &mut self.trees {
                tree.event(event, backend, trees.entry(Arc::clone(key)).or_default());
            }
        }
        let now = Instant::now();
        for subscription in self.subscriptions.values_mut() {
            let Source::Files(files) = &mut subscription.source else { continue };
            let mut batch = Batch::default();
            for event in events {
                files.event(event, backend, &mut batch);
            }
            let mode = files.mode();
            stage(subscription, &batch, None, now);
            subscription.set_mode(mode);
        }
        for (key, batch) in trees {
            self.stage_tree(&key, &batch, now);
        }
    }

    fn resync(&mut self) {
        let now = Instant::now();
        let keys: Vec<_> = self.trees.keys().cloned().collect();
        for key in keys {
            let mut batch = Batch::default();
            if let Some(tree) = self.trees.get_mut(&key) {
                tree.resync(&mut self.backend, &mut batch);
            }
            self.stage_tree(&key, &batch, now);
        }
        for subscription in self.subscriptions.values_mut() {
            let Source::Files(files) = &mut subscription.source else { continue };
            let mut batch = Batch::default();
            files.resync(&mut self.backend, &mut batch);
            let mode = files.mode();
            stage(subscription, &batch, None, now);
            subscription.set_mode(mode);
        }
    }

    /// Does what time brings: polls, and tells what has waited long enough.
    fn tick(&mut self, now: Instant) {
        let due: Vec<_> =
            self.trees.iter().filter(|(_, tree)| tree.due().is_some_and(|due| due <= now)).collect();
        let due: Vec<_> = due.into_iter().map(|(key, _)| Arc::clone(key)).collect();
        for key in due {
            let mut batch = Batch::default();
            if let Some(tree) = self.trees.get_mut(&key) {
                tree.tick(now, &mut self.backend, &mut batch);
            }
            self.stage_tree(&key, &batch, now);
        }
        for subscription in self.subscriptions.values_mut() {
            if let Source::Files(files) = &mut subscription.source {
                let mut batch = Batch::default();
                files.tick(now, &mut batch);
                stage(subscription, &batch, None, now);
            }
            if subscription.since.is_some_and(|(_, due)| due <= now) {
                subscription.since = None;
                subscription.mailbox.deliver(&mut subscription.staged);
            }
        }
    }

    fn stage_tree(&mut self, key: &Arc<TreeKey>, batch: &Batch, now: Instant) {
        let Some(tree) = self.trees.get(key) else { return };
        if batch.is_empty() {
            return;
        }
        for subscription in self.subscriptions.values_mut() {
            let Source::Tree { key: watched, prefix } = &subscription.source else { continue };
            if watched == key {
                let prefix = prefix.clone();
                stage(subscription, batch, Some((tree, prefix)), now);
                subscription.set_mode(tree.mode());
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Subscribe(request) => self.subscribe(*request),
            Command::Unsubscribe(id) => self.unsubscribe(id),
            Command::Fence(reply) => self.fences.put(reply, &mut self.backend),
        }
    }

    fn subscribe(&mut self, request: Subscribe) {
        let Subscribe { id, mut source, debounce, mailbox, reply } = request;
        match &mut source {
            Source::Files(files) => {
                files.begin(&mut self.backend);
                mailbox.set_mode(files.mode());
            }
            Source::Tree { key, .. } => {
                let made = || Tree::new(Arc::clone(key), &mut self.backend);
                let tree = self.trees.entry(Arc::clone(key)).or_insert_with(made);
                tree.users += 1;
                mailbox.set_mode(tree.mode());
            }
        }
        let subscription = Subscription { mailbox, source, debounce, staged: Batch::default(), since: None };
        self.subscriptions.insert(id, subscription);
        if let Err(mpsc::SendError(_)) = reply.send(Ok(())) {
            self.unsubscribe(id);
        }
    }

    fn unsubscribe(&mut self, id: u64) {
        let Some(mut subscription) = self.subscriptions.remove(&id) else { return };
        match &mut subscription.source {
            Source::Files(files) => files.release(&mut self.backend),
            Source::Tree { key, .. } => {
                let Some(tree) = self.trees.get_mut(key) else { return };
                tree.users -= 1;
                if tree.users == 0 {
                    tree.release(&mut self.backend);
                    self.trees.remove(key);
                }
            }
        }
    }
}

/// Stages `batch`, with the paths of a tree as its watcher wrote the root.
fn stage(subscription: &mut Subscription, batch: &Batch, tree: Option<(&Tree, PathBuf)>, now: Instant) {
    if batch.is_empty() {
        return;
    }
    let told = |path: &PathBuf| match &tree {
        Some((tree, prefix)) => match path.strip_prefix(tree.root()) {
            Ok(relative) => prefix.join(relative),
            Err(_) => path.clone(),
        },
        None => path.clone(),
    };
    let paths: Vec<PathBuf> = batch.paths().map(told).collect();
    subscription.mailbox.raise(batch.is_rescan(), paths.iter());
    if batch.is_rescan() {
        subscription.staged.rescan();
    }
    paths.into_iter().for_each(|path| subscription.staged.add(path));
    subscription.postpone(now);
}
