//! Who has what and who waits for what: all of the deciding, with the time given from outside.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::accounts::{Account, Turn, size};
use super::bucket::Bucket;
use super::decision::{Decision, Reason, Refusal, Verdict};
use super::paths::{HeldPaths, folded};
use super::request::{Capacity, Needs, Request, Spent};

/// How the arbiter behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who has waited for so long goes before all others.
    pub patience: Duration,
    /// Requests that wait at once, at most.
    pub most_waiting: usize,
    /// Places that one node may write, at most.
    pub most_paths: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { patience: Duration::from_secs(30), most_waiting: 16_384, most_paths: 256 }
    }
}

/// Requests of one user that are looked at in one pass without being granted, at most: so that a pass over thousands
/// stays short. Who is not looked at grows old and then goes first.
const LOOK: usize = 64;

pub(super) struct Book {
    capacity: Capacity,
    settings: Settings,
    free: Free,
    tokens: Bucket,
    paths: HeldPaths,
    users: HashMap<Arc<str>, Account>,
    /// By age.
    waiting: BTreeMap<u64, Waiting>,
    held: HashMap<u64, Held>,
    /// All that wait or hold, as (run, node).
    nodes: HashSet<(Arc<str>, Arc<str>)>,
    next: u64,
    log: Vec<Decision>,
    decisions: u64,
    /// When the next pass may find something although nobody came or went.
    wake: Option<Duration>,
}

/// How waiting ended.
pub(super) type Ended = (u64, Result<(), Refusal>);

struct Waiting {
    request: Request,
    turn: Turn,
    since: Duration,
    /// What was told last.
    told: Option<Reason>,
}

struct Held {
    request: Request,
    since: Duration,
}

#[derive(Debug, Clone, Copy)]
struct Free {
    memory: u64,
    cpu: u64,
}

/// Who has waited too long and cannot go yet: what it needs is kept for it.
struct Head {
    id: u64,
    request: Request,
}

impl Book {
    pub(super) fn new(capacity: Capacity, settings: Settings, now: Duration) -> Self {
        let free = Free { memory: capacity.memory, cpu: capacity.cpu };
        let tokens = Bucket::new(capacity.tokens_per_minute, now);
        Self {
            capacity,
            settings,
            free,
            tokens,
            paths: HeldPaths::default(),
            users: HashMap::new(),
            waiting: BTreeMap::new(),
            held: HashMap::new(),
            nodes: HashSet::new(),
            next: 0,
            log: Vec::new(),
            decisions: 0,
            wake: None,
        }
    }

    /// The number of a request that waits now, until a [`pass`](Self::pass) ends that.
    pub(super) fn submit(&mut self, now: Duration, mut request: Request) -> Result<u64, Refusal> {
        self.next += 1;
        let id = self.next;
        request.needs.writes = folded(std::mem::take(&mut request.needs.writes));
        if let Err(refusal) = self.admissible(&request) {
            self.note(now, id, &request, now, Verdict::Refused(refusal.clone()));
            return Err(refusal);
        }
        self.nodes.insert((request.run.clone(), request.node.clone()));
        let size = size(&request.needs, &self.capacity);
        let account = self.users.entry(request.user.clone()).or_insert_with(Account::new);
        let turn = account.enqueue(id, &request.run, request.weight, size);
        self.waiting.insert(id, Waiting { request, turn, since: now, told: None });
        Ok(id)
    }

    /// Refuses on behalf of who could not even ask.
    pub(super) fn refuse(&mut self, now: Duration, request: &Request, refusal: Refusal) {
        self.next += 1;
        self.note(now, self.next, request, now, Verdict::Refused(refusal));
    }

    /// It waits no more. False if it did not.
    pub(super) fn withdraw(&mut self, now: Duration, id: u64) -> bool {
        let Some(waiting) = self.stop_waiting(id, false) else { return false };
        self.nodes.remove(&(waiting.request.run.clone(), waiting.request.node.clone()));
        self.note(now, id, &waiting.request, waiting.since, Verdict::Withdrawn);
        self.forget_if_blank(&waiting.request.user, now);
        true
    }

    /// Gives back what a grant had. `spent` is what it used of what is not given back; without, all of it.
    pub(super) fn release(&mut self, now: Duration, id: u64, spent: Option<Spent>) {
        let Some(Held { request, since }) = self.held.remove(&id) else { return };
        let needs = &request.needs;
        let spent = spent.unwrap_or(Spent { tokens: needs.tokens, cost: needs.cost });
        self.free.memory += needs.memory;
        self.free.cpu += needs.cpu;
        self.tokens.refill(now);
        if spent.tokens < needs.tokens {
            self.tokens.give_back(needs.tokens - spent.tokens);
        } else {
            self.tokens.take(spent.tokens - needs.tokens);
        }
        self.paths.give_back(&needs.writes);
        if let Some(account) = self.users.get_mut(&request.user) {
            account.give_back(needs, spent.tokens, spent.cost, now);
        }
        self.nodes.remove(&(request.run.clone(), request.node.clone()));
        self.note(now, id, &request, since, Verdict::Released);
        self.forget_if_blank(&request.user, now);
    }

    /// The weight of a user among all; 1 without. 0 counts as 1.
    pub(super) fn set_weight(&mut self, user: &Arc<str>, weight: u32) {
        self.users.entry(user.clone()).or_insert_with(Account::new).weight = weight.max(1);
    }

    /// What a user has spent before, in millionths of a dollar.
    pub(super) fn add_spent(&mut self, user: &Arc<str>, cost: u64) {
        let account = self.users.entry(user.clone()).or_insert_with(Account::new);
        account.spent = account.spent.saturating_add(cost);
    }

    /// Grants what can be granted now, in order, and answers whose waiting ended.
    pub(super) fn pass(&mut self, now: Duration) -> Vec<Ended> {
        self.tokens.refill(now);
        self.wake = None;
        let mut ended = Vec::new();
        let at_first = (self.free, self.tokens.available());
        let head = self.serve_aged(now, &mut ended);
        self.serve_by_share(now, head.as_ref(), at_first, &mut ended);
        if let Some(oldest) = self.waiting.values().next() {
            let aged = oldest.since + self.settings.patience;
            if aged > now {
                self.wake = Some(self.wake.map_or(aged, |wake| wake.min(aged)));
            }
        }
        ended
    }

    /// When to make a pass although nobody came or went.
    pub(super) fn wake(&self) -> Option<Duration> {
        self.wake
    }

    pub(super) fn take_log(&mut self) -> Vec<Decision> {
        std::mem::take(&mut self.log)
    }

    /// Whether it can ever be granted.
    fn admissible(&self, request: &Request) -> Result<(), Refusal> {
        let needs = &request.needs;
        let refuse = |reason, detail| Err(Refusal::new(reason, detail));
        if self.nodes.contains(&(request.run.clone(), request.node.clone())) {
            let node = &request.node;
            return refuse(
                Reason::PolicyViolation,
                format!("`{node}` asked already: a node asks once for all it needs"),
            );
        }
        if needs.writes.len() > self.settings.most_paths {
            let (asked, most) = (needs.writes.len(), self.settings.most_paths);
            return refuse(
                Reason::PolicyViolation,
                format!("{asked} places to write, at most {most} may be"),
            );
        }
        if self.waiting.len() >= self.settings.most_waiting {
            return refuse(
                Reason::ResourceUnavailable,
                format!("{} requests wait already", self.waiting.len()),
            );
        }
        self.possible(request)
    }

    /// Whether there is as much at all.
    fn possible(&self, request: &Request) -> Result<(), Refusal> {
        let (needs, capacity) = (&request.needs, &self.capacity);
        let unavailable = |what: &str, asked: u64, most: u64| {
            Err(Refusal::new(Reason::ResourceUnavailable, format!("{asked} {what}, there are {most} in all")))
        };
        if needs.memory > capacity.memory {
            return unavailable("bytes of memory", needs.memory, capacity.memory);
        }
        if needs.cpu > capacity.cpu {
            return unavailable("thousandths of a processor", needs.cpu, capacity.cpu);
        }
        if needs.tokens > capacity.tokens_per_minute {
            let detail = format!("{} tokens, a minute has {}", needs.tokens, capacity.tokens_per_minute);
            return Err(Refusal::new(Reason::RateLimited, detail));
        }
        let spent = self.users.get(&request.user).map_or(0, |account| account.spent);
        match capacity.cost {
            Some(most) if needs.cost > 0 && spent.saturating_add(needs.cost) > most => {
                let detail = format!(
                    "{} of {most} millionths of a dollar are spent, {} more asked for",
                    spent, needs.cost
                );
                Err(Refusal::new(Reason::CostExceeded, detail))
            }
            _ => Ok(()),
        }
    }

    /// What is short now, looked for in the order in which everything is taken.
    fn lacking(&self, request: &Request) -> Option<Refusal> {
        let needs = &request.needs;
        let lacks = |reason, detail| Some(Refusal::new(reason, detail));
        if needs.memory > self.free.memory {
            let detail = format!("{} bytes of memory, {} are free", needs.memory, self.free.memory);
            return lacks(Reason::ResourceUnavailable, detail);
        }
        if needs.cpu > self.free.cpu {
            let detail = format!("{} thousandths of a processor, {} are free", needs.cpu, self.free.cpu);
            return lacks(Reason::ResourceUnavailable, detail);
        }
        let tokens = self.tokens.available();
        if needs.tokens > tokens {
            return lacks(Reason::RateLimited, format!("{} tokens, {tokens} are left now", needs.tokens));
        }
        if needs.cost > self.money(&request.user) {
            let left = self.money(&request.user);
            let detail = format!("{} millionths of a dollar, {left} are not reserved", needs.cost);
            return lacks(Reason::CostExceeded, detail);
        }
        let (path, holder) = self.paths.conflict(&needs.writes)?;
        let node = self.held.get(&holder).map_or("", |held| &*held.request.node);
        lacks(Reason::ResourceUnavailable, format!("`{node}` writes {}", path.as_path().display()))
    }

    /// Millionths of a dollar that the user has left.
    fn money(&self, user: &Arc<str>) -> u64 {
        let used = self.users.get(user).map_or(0, |account| account.spent.saturating_add(account.reserved));
        self.capacity.cost.map_or(u64::MAX, |most| most.saturating_sub(used))
    }

    /// The oldest of those who waited too long, until one cannot go: that one is the head.
    fn serve_aged(&mut self, now: Duration, ended: &mut Vec<Ended>) -> Option<Head> {
        loop {
            let (&id, oldest) = self.waiting.first_key_value()?;
            if now < oldest.since + self.settings.patience {
                return None;
            }
            let request = oldest.request.clone();
            if let Err(refusal) = self.possible(&request) {
                self.end_refused(now, id, refusal, ended);
            } else if let Some(refusal) = self.lacking(&request) {
                self.defer(now, id, refusal);
                return Some(Head { id, request });
            } else {
                self.grant(now, id, ended);
            }
        }
    }

    fn serve_by_share(
        &mut self,
        now: Duration,
        head: Option<&Head>,
        at_first: (Free, u64),
        ended: &mut Vec<Ended>,
    ) {
        let mut lines: Vec<(Arc<str>, std::vec::IntoIter<u64>, usize)> = self
            .users
            .iter()
            .filter(|(_, account)| !account.waiting.is_empty())
            .map(|(user, account)| {
                let ids: Vec<u64> = account.waiting.values().copied().collect();
                (user.clone(), ids.into_iter(), 0)
            })
            .collect();
        // Equal shares go in the order of names, whatever the order of the map.
        lines.sort_by(|a, b| a.0.cmp(&b.0));
        while let Some(line) = self.neediest(&lines, now) {
            let (_, ids, blocked) = &mut lines[line];
            let next = ids.next().filter(|_| *blocked < LOOK);
            let Some(id) = next else {
                drop(lines.remove(line));
                continue;
            };
            if head.is_none_or(|head| head.id != id) && !self.serve(now, id, head, at_first, ended) {
                lines[line].2 += 1;
            }
        }
    }

    fn neediest<I>(&self, lines: &[(Arc<str>, I, usize)], now: Duration) -> Option<usize> {
        let share = |user: &Arc<str>| self.users.get(user).map_or(0.0, |a| a.share(&self.capacity, now));
        let shares = lines.iter().map(|(user, ..)| share(user)).enumerate();
        shares.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(line, _)| line)
    }

    /// Looks at one request. Answers whether its waiting ended.
    fn serve(
        &mut self,
        now: Duration,
        id: u64,
        head: Option<&Head>,
        at_first: (Free, u64),
        ended: &mut Vec<Ended>,
    ) -> bool {
        let Some(request) = self.waiting.get(&id).map(|waiting| waiting.request.clone()) else { return true };
        if let Err(refusal) = self.possible(&request) {
            self.end_refused(now, id, refusal, ended);
            return true;
        }
        if let Some(refusal) = self.lacking(&request) {
            let needs = &request.needs;
            let (free, tokens) = at_first;
            let fitted = needs.memory <= free.memory && needs.cpu <= free.cpu && needs.tokens <= tokens;
            let short = needs.memory > self.free.memory
                || needs.cpu > self.free.cpu
                || needs.tokens > self.tokens.available();
            let refusal = match fitted && short {
                true => {
                    Refusal::new(Reason::LowerPriority, format!("another went first: {}", refusal.detail))
                }
                false => refusal,
            };
            self.defer(now, id, refusal);
            return false;
        }
        if let Some(head) = head.filter(|head| self.would_delay(head, &request)) {
            let (node, run) = (&head.request.node, &head.request.run);
            let detail = format!("kept for `{node}` of run {run}, which has waited longest");
            self.defer(now, id, Refusal::new(Reason::LowerPriority, detail));
            return false;
        }
        self.grant(now, id, ended);
        true
    }

    /// Whether the head would have to wait for what this takes.
    fn would_delay(&self, head: &Head, request: &Request) -> bool {
        let (kept, needs) = (&head.request.needs, &request.needs);
        let takes = |free: u64, kept: u64, asked: u64| match free >= kept {
            true => asked > free - kept,
            // It waits for this one already: all of it is kept.
            false => asked > 0,
        };
        takes(self.free.memory, kept.memory, needs.memory)
            || takes(self.free.cpu, kept.cpu, needs.cpu)
            || takes(self.tokens.available(), kept.tokens, needs.tokens)
            || (request.user == head.request.user && takes(self.money(&request.user), kept.cost, needs.cost))
            || needs.writes.iter().any(|path| kept.writes.iter().any(|other| path.overlaps(other)))
    }

    fn grant(&mut self, now: Duration, id: u64, ended: &mut Vec<Ended>) {
        let Some(Waiting { request, since, .. }) = self.stop_waiting(id, true) else { return };
        let Needs { memory, cpu, tokens, .. } = request.needs;
        self.free.memory -= memory;
        self.free.cpu -= cpu;
        self.tokens.take(tokens);
        self.paths.take(&request.needs.writes, id);
        if let Some(account) = self.users.get_mut(&request.user) {
            account.take(&request.needs, now);
        }
        self.note(now, id, &request, since, Verdict::Granted);
        self.held.insert(id, Held { request, since });
        ended.push((id, Ok(())));
    }

    fn end_refused(&mut self, now: Duration, id: u64, refusal: Refusal, ended: &mut Vec<Ended>) {
        let Some(waiting) = self.stop_waiting(id, false) else { return };
        self.nodes.remove(&(waiting.request.run.clone(), waiting.request.node.clone()));
        self.note(now, id, &waiting.request, waiting.since, Verdict::Refused(refusal.clone()));
        ended.push((id, Err(refusal)));
    }

    fn defer(&mut self, now: Duration, id: u64, refusal: Refusal) {
        let Some(waiting) = self.waiting.get_mut(&id) else { return };
        let tokens = waiting.request.needs.tokens;
        if tokens > self.tokens.available() {
            let wake = self.tokens.wait_for(tokens).map(|wait| now + wait);
            self.wake = self.wake.into_iter().chain(wake).min();
        }
        if waiting.told.replace(refusal.reason) != Some(refusal.reason) {
            let (request, since) = (waiting.request.clone(), waiting.since);
            self.note(now, id, &request, since, Verdict::Deferred(refusal));
        }
    }

    fn stop_waiting(&mut self, id: u64, granted: bool) -> Option<Waiting> {
        let waiting = self.waiting.remove(&id)?;
        if let Some(account) = self.users.get_mut(&waiting.request.user) {
            account.dequeue(waiting.turn, granted);
        }
        Some(waiting)
    }

    fn forget_if_blank(&mut self, user: &Arc<str>, now: Duration) {
        if self.users.get(user).is_some_and(|account| account.is_blank(now)) {
            self.users.remove(user);
        }
    }

    fn note(&mut self, now: Duration, id: u64, request: &Request, since: Duration, verdict: Verdict) {
        self.decisions += 1;
        self.log.push(Decision {
            seq: self.decisions,
            at: now,
            request: id,
            user: request.user.clone(),
            run: request.run.clone(),
            node: request.node.clone(),
            verdict,
            waited: now.saturating_sub(since),
        });
    }
}
