//! Claims as a client sees them, git's worktree lock included, beside bare SQLite transactions on the same disk.

use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::future::join_all;
use podium_client::Client;
use podium_harness::{TestEnvironment, TestRepo};
use podium_protocol::{
    ClaimAcquire, ClaimAcquireParams, ClaimRelease, ClaimReleaseParams, ErrorKind, RepoSelector,
    WorktreeCreate, WorktreeCreateParams,
};
use podium_store::rusqlite::{Connection, Transaction, TransactionBehavior, params};

use crate::Effort;
use crate::report::{Figure, Row};
use crate::setting::{client, runtime, told};
use crate::stats::{Samples, median};

const BLOCKS: usize = 10;
const CLAIMS: usize = 40;
const CONTENDERS: usize = 50;
const ROUNDS: usize = 60;

pub(crate) fn measure(effort: Effort) -> Result<Vec<Row>> {
    let environment = TestEnvironment::new();
    let repo = environment.repo_builder().without_origin().build();
    environment.start_daemon();
    runtime()?.block_on(async {
        let ours = client(&environment, "bench");
        let worktree = Target::create(&ours, &repo).await?;
        let sqlite = Peer::create(environment.root())?;
        let mut rows = alone(&ours, &worktree, &sqlite, effort).await?;
        rows.push(contended(&environment, &worktree, &sqlite, effort).await?);
        Ok(rows)
    })
}

/// The worktree everybody wants. A linked one: the main worktree has no lock to mirror into.
struct Target {
    at: RepoSelector,
    name: String,
}

impl Target {
    async fn create(client: &Client, repo: &TestRepo<'_>) -> Result<Self> {
        let at = RepoSelector { repo: Some(repo.path().display().to_string()), ..RepoSelector::default() };
        let (kind, name) = (Some("feat".to_owned()), Some("bench".to_owned()));
        let params = WorktreeCreateParams { at: at.clone(), kind, name, ..WorktreeCreateParams::default() };
        let created = client.call::<WorktreeCreate>(params).await.map_err(told)?;
        Ok(Self { at, name: created.worktree.name })
    }

    fn claim(&self, agent: &str) -> ClaimAcquireParams {
        ClaimAcquireParams {
            at: self.at.clone(),
            worktree: Some(self.name.clone()),
            agent_id: Some(agent.to_owned()),
            ..ClaimAcquireParams::default()
        }
    }

    fn release(&self, agent: &str, token: u64) -> ClaimReleaseParams {
        ClaimReleaseParams {
            at: self.at.clone(),
            worktree: Some(self.name.clone()),
            agent_id: Some(agent.to_owned()),
            token: Some(token),
            ..ClaimReleaseParams::default()
        }
    }
}

/// One agent, nobody in its way: acquire, release and a transaction of the peer in turn.
async fn alone(ours: &Client, target: &Target, sqlite: &Peer, effort: Effort) -> Result<Vec<Row>> {
    let conn = sqlite.open()?;
    let (mut acquired, mut released, mut bare) = (Samples::default(), Samples::default(), Samples::default());
    let (mut acquire_ratios, mut release_ratios) = (Vec::new(), Vec::new());
    for block in 0..=effort.times(BLOCKS) {
        let (mut acquire, mut release, mut peer) =
            (Samples::default(), Samples::default(), Samples::default());
        for _ in 0..CLAIMS {
            let start = Instant::now();
            let claim = ours.call::<ClaimAcquire>(target.claim("agent-1")).await.map_err(told)?;
            acquire.push(start.elapsed());
            let start = Instant::now();
            ours.call::<ClaimRelease>(target.release("agent-1", claim.token)).await.map_err(told)?;
            release.push(start.elapsed());
            peer.time(|| take(&conn, "agent-1"))?;
            free(&conn)?;
        }
        // The first block warms up.
        if block > 0 {
            acquire_ratios.push(acquire.median() / peer.median());
            release_ratios.push(release.median() / peer.median());
            acquired.append(&acquire);
            released.append(&release);
            bare.append(&peer);
        }
    }
    let transaction = Figure::us(&bare);
    Ok(vec![
        Row::new("acquire, lock mirrored", Figure::us(&acquired))
            .peer("SQLite, FULL", transaction.clone())
            .ratio(median(&acquire_ratios))
            .ratio_at_most(3.0)
            .note("by IPC; the peer is one fsync'd transaction that updates such a row; median of the blocks' ratios"),
        Row::new("release, lock mirrored", Figure::us(&released))
            .peer("SQLite, FULL", transaction)
            .ratio(median(&release_ratios))
            .note("looks at the tree first: a dirty one is not given back"),
    ])
}

/// Connections of their own, all at once, again and again; who wins gives it back.
async fn contended(
    environment: &TestEnvironment,
    target: &Target,
    sqlite: &Peer,
    effort: Effort,
) -> Result<Row> {
    let agents: Vec<(String, Client)> = (0..CONTENDERS)
        .map(|number| (format!("agent-{number}"), client(environment, &format!("contender {number}"))))
        .collect();
    let rounds = effort.times(ROUNDS);
    let mut took = Duration::ZERO;
    for round in 0..=rounds {
        let start = Instant::now();
        let attempts = agents.iter().map(|(agent, client)| client.call::<ClaimAcquire>(target.claim(agent)));
        let mut winners = Vec::new();
        for ((agent, client), answer) in agents.iter().zip(join_all(attempts).await) {
            match answer {
                Ok(claim) => winners.push((agent, client, claim.token)),
                Err(error) if error.kind == ErrorKind::Conflict => {}
                Err(error) => return Err(told(error)),
            }
        }
        ensure!(winners.len() == 1, "round {round} has {} winners", winners.len());
        for (agent, client, token) in winners {
            client.call::<ClaimRelease>(target.release(agent, token)).await.map_err(told)?;
        }
        // The first round makes the connections.
        if round > 0 {
            took += start.elapsed();
        }
    }
    let attempts = rounds * CONTENDERS;
    let peer = sqlite.contend(rounds)?;
    Ok(Row::new("50 contenders, one winner a round", Figure::of(rate(attempts, took), "claims/s", attempts))
        .peer("SQLite, FULL", Figure::of(rate(attempts, peer), "claims/s", attempts))
        .at_least(1000.0)
        .note("attempts answered, the winners' releases included in the time; each round had exactly one winner"))
}

#[expect(clippy::cast_precision_loss, reason = "some thousand claims")]
fn rate(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

/// A database with one such row, and nothing around it.
struct Peer {
    path: PathBuf,
}

impl Peer {
    fn create(folder: &Path) -> Result<Self> {
        let peer = Self { path: folder.join("peer.sqlite") };
        peer.open()?.execute_batch(
            "CREATE TABLE worktrees (id TEXT PRIMARY KEY, name TEXT NOT NULL, path TEXT NOT NULL, agent_id TEXT,
                token INTEGER, host TEXT, claimed_at INTEGER);
             INSERT INTO worktrees (id, name, path, token) VALUES ('w', 'feat-bench', '/home/ann/feat-bench', 0);",
        )?;
        Ok(peer)
    }

    fn open(&self) -> Result<Connection> {
        let conn = Connection::open(&self.path)?;
        conn.busy_timeout(Duration::from_secs(30))?;
        conn.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
        conn.pragma_update(None, "synchronous", "FULL")?;
        Ok(conn)
    }

    /// The same contest among threads that share nothing but the file.
    fn contend(&self, rounds: usize) -> Result<Duration> {
        let conns: Vec<Connection> = (0..CONTENDERS).map(|_| self.open()).collect::<Result<_>>()?;
        let barrier = Barrier::new(CONTENDERS);
        let start = Instant::now();
        std::thread::scope(|scope| {
            let contenders: Vec<_> = conns
                .into_iter()
                .enumerate()
                .map(|(number, conn)| {
                    let barrier = &barrier;
                    scope.spawn(move || contender(&conn, &format!("agent-{number}"), rounds, barrier))
                })
                .collect();
            contenders.into_iter().try_for_each(|contender| contender.join().expect("a contender ends"))
        })?;
        Ok(start.elapsed())
    }
}

fn contender(conn: &Connection, agent: &str, rounds: usize, barrier: &Barrier) -> Result<()> {
    let mut outcome = Ok(());
    for _ in 0..rounds {
        // Nobody leaves early: the others would wait at the barrier for ever.
        let won = take(conn, agent);
        barrier.wait();
        match won {
            Ok(true) => outcome = outcome.and(free(conn)),
            Ok(false) => {}
            Err(error) => outcome = Err(error),
        }
        barrier.wait();
    }
    outcome
}

/// One conditional update, made durable.
fn take(conn: &Connection, agent: &str) -> Result<bool> {
    let tx = Transaction::new_unchecked(conn, TransactionBehavior::Immediate)?;
    let sql =
        "UPDATE worktrees SET agent_id = ?1, token = token + 1, host = 'here', claimed_at = 1763683200000
        WHERE id = 'w' AND agent_id IS NULL";
    let changed = tx.prepare_cached(sql)?.execute(params![agent])?;
    tx.commit()?;
    Ok(changed == 1)
}

fn free(conn: &Connection) -> Result<()> {
    conn.execute("UPDATE worktrees SET agent_id = NULL, host = NULL, claimed_at = NULL WHERE id = 'w'", [])?;
    Ok(())
}
