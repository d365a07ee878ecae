//! Commits, however they were made, become events: once each, also those of a time when nobody watched.
//!
//! HEAD's reflog says what moved it, move by move. How far it was read is a row that changes in the transaction of
//! the events, so that neither a crash nor two looks at once tell a commit twice or not at all.

use podium_git::{CommitInfo, Head, HeadMove, Oid};
use podium_store::rusqlite::{Connection, OptionalExtension, params};
use podium_store::{Durability, NewEvent, Tx, rfc3339};
use serde_json::json;

use crate::error::{Error, Result, blocking};
use crate::rows::WorktreeRow;
use crate::service::{RepoHandle, Worktrees};
use crate::view::location;

const SUMMARY: usize = 200;

/// The row of `heads`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Read {
    head: Option<String>,
    log_end: u64,
}

impl Read {
    fn of(conn: &Connection, worktree: &str) -> Result<Option<Self>> {
        let sql = "SELECT head, log_end FROM heads WHERE worktree = ?1";
        let row = conn
            .prepare_cached(sql)?
            .query_row([worktree], |row| Ok(Self { head: row.get(0)?, log_end: row.get(1)? }));
        Ok(row.optional()?)
    }

    fn save(&self, conn: &Connection, worktree: &str) -> Result<()> {
        let sql = "INSERT INTO heads (worktree, head, log_end) VALUES (?1, ?2, ?3)
            ON CONFLICT (worktree) DO UPDATE SET head = excluded.head, log_end = excluded.log_end";
        conn.prepare_cached(sql)?.execute(params![worktree, self.head, self.log_end])?;
        Ok(())
    }
}

/// A worktree that was just made or first seen: what its reflog says so far is nobody's news.
pub(crate) fn baseline(conn: &Connection, row: &WorktreeRow) -> Result<()> {
    let log_end = row.admin_dir.join("logs/HEAD").metadata().map_or(0, |metadata| metadata.len());
    Read { head: None, log_end }.save(conn, &row.id)
}

/// HEAD now, and what brought it there since the last look.
struct Moves {
    head: Head,
    before: Option<Read>,
    after: Read,
    commits: Vec<Commit>,
    more: bool,
}

struct Commit {
    kind: &'static str,
    from: Option<Oid>,
    count: usize,
    info: CommitInfo,
}

impl Worktrees {
    /// Writes the events of a worktree's new commits. Gives its HEAD.
    pub(super) async fn follow_head(
        &self,
        handle: &std::sync::Arc<RepoHandle>,
        row: &WorktreeRow,
    ) -> Result<Head> {
        loop {
            let (this, asked, of) = (self.clone(), handle.clone(), row.clone());
            let moves = blocking(move || this.moves(&asked, &of)).await?;
            if moves.before.as_ref() == Some(&moves.after) {
                return Ok(moves.head);
            }
            let (id, before, after, commits) = (row.id.clone(), moves.before, moves.after, moves.commits);
            let durability = if commits.is_empty() { Durability::Process } else { Durability::Power };
            self.inner
                .store
                .write(durability, move |tx| tell(tx, &id, before.as_ref(), &after, &commits))
                .await?;
            if !moves.more {
                return Ok(moves.head);
            }
        }
    }

    fn moves(&self, handle: &RepoHandle, row: &WorktreeRow) -> Result<Moves> {
        let id = row.id.clone();
        let before = self.inner.store.read_blocking(move |conn| Read::of(conn, &id))?;
        let at = location(row);
        // HEAD first: git writes the reflog before it moves the reference, so nothing that HEAD shows is missing there.
        let head = handle.repo.head(&at)?;
        let from = match &before {
            Some(read) => read.log_end,
            None => handle.repo.head_log_len(&at),
        };
        let log = handle.repo.head_log(&at, from)?;
        let known = before.as_ref().and_then(|read| read.head.clone());
        let mut moves = unread(log.moves, known.as_deref(), log.rewritten);
        let last = moves.last().map(|last| last.to.to_string()).or(known);
        if !log.more
            && let Some(unlogged) = unlogged(&head, last.as_deref(), &moves)
        {
            moves.push(unlogged);
        }
        let told = before.is_some();
        let commits = if told { commits(handle, &moves) } else { Vec::new() };
        let now = moves.last().map(|last| last.to.to_string()).or(last);
        let now = now.or_else(|| head.id().map(Oid::to_string));
        Ok(Moves { head, before, after: Read { head: now, log_end: log.end }, commits, more: log.more })
    }
}

/// The moves behind the commit that was told last.
fn unread(mut moves: Vec<HeadMove>, known: Option<&str>, rewritten: bool) -> Vec<HeadMove> {
    let Some(known) = known else { return if rewritten { Vec::new() } else { moves } };
    let follows =
        moves.first().is_none_or(|first| first.from.as_ref().is_some_and(|from| from.as_str() == known));
    if follows && !rewritten {
        return moves;
    }
    match moves.iter().rposition(|found| found.to.as_str() == known) {
        Some(at) => moves.split_off(at + 1),
        None if rewritten => Vec::new(),
        None => moves,
    }
}

/// The move to where HEAD is, when the reflog does not know of it: it is turned off, or the branch was moved from
/// elsewhere.
fn unlogged(head: &Head, last: Option<&str>, moves: &[HeadMove]) -> Option<HeadMove> {
    let to = head.id()?;
    let last = last?;
    // The reflog can be ahead of HEAD for a moment.
    let logged = |found: &HeadMove| found.to == *to || found.from.as_ref() == Some(to);
    if to.as_str() == last || moves.iter().any(logged) {
        return None;
    }
    Some(HeadMove { from: last.parse().ok(), to: to.clone(), message: String::new() })
}

/// What the moves brought that was not there before. A commit that cannot be read any more is passed over.
fn commits(handle: &RepoHandle, moves: &[HeadMove]) -> Vec<Commit> {
    let commit = |found: &HeadMove| {
        let kind = kind(&found.message)?;
        let new = found.from.as_ref() != Some(&found.to);
        let count = match &found.from {
            _ if !new => 0,
            Some(from) => handle.repo.ahead_behind(&found.to, from).map_or(1, |counts| counts.ahead),
            None => 1,
        };
        let info = handle.repo.commit(&found.to).ok()?;
        (count > 0).then_some(Commit { kind, from: found.from.clone(), count, info })
    };
    moves.iter().filter_map(commit).collect()
}

/// How a commit was made, by the words that git leaves in the reflog. `None`: HEAD only went elsewhere.
fn kind(message: &str) -> Option<&'static str> {
    let action = message.split_once(':').map_or(message, |(action, _)| action);
    let steps = ["(start)", "(finish)", "(abort)", "(continue)", "(quit)", "(reset)"];
    if steps.iter().any(|step| action.contains(step)) {
        return None;
    }
    let word = action.split(' ').next().unwrap_or_default();
    Some(match word {
        "checkout" | "reset" | "clone" | "branch" | "Branch" | "worktree" => return None,
        "commit" if action.contains("(amend)") => "amend",
        "commit" if action.contains("(merge)") => "merge",
        "commit" if action.contains("(cherry-pick)") => "cherry_pick",
        "commit" => "commit",
        "merge" => "merge",
        "pull" => "pull",
        "rebase" => "rebase",
        "cherry-pick" => "cherry_pick",
        "revert" => "revert",
        "am" => "am",
        _ => "other",
    })
}

fn tell(tx: &Tx<'_>, id: &str, before: Option<&Read>, after: &Read, commits: &[Commit]) -> Result<()> {
    // Another look was quicker, or the worktree went: nothing of this is news.
    if Read::of(tx, id)?.as_ref() != before {
        return Ok(());
    }
    let Some(row) = WorktreeRow::by_id(tx, id)? else { return Ok(()) };
    after.save(tx, id)?;
    for commit in commits {
        let claim = row.claim.as_ref();
        let data = json!({
            "worktree": row.id,
            "repo": row.repo,
            "name": row.name,
            "branch": row.branch,
            "kind": commit.kind,
            "from": commit.from.as_ref().map(Oid::as_str),
            "to": commit.info.id.as_str(),
            "count": commit.count,
            "summary": commit.info.summary.chars().take(SUMMARY).collect::<String>(),
            "author": commit.info.author,
            "time": rfc3339(commit.info.time.saturating_mul(1_000)),
            "agentId": claim.map(|claim| &claim.agent_id),
        });
        tx.emit(&NewEvent::new("worktree.commit", row.subject(), data)).map_err(Error::from)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(from: char, to: char) -> HeadMove {
        let id = |digit: char| digit.to_string().repeat(40).parse().unwrap();
        HeadMove { from: Some(id(from)), to: id(to), message: "commit: x".to_owned() }
    }

    #[test]
    fn moves_that_were_told_are_left_out() {
        let log = vec![step('1', '2'), step('2', '3'), step('3', '4')];
        let known = "2".repeat(40);
        assert_eq!(unread(log[1..].to_vec(), Some(&known), false), log[1..]);
        assert_eq!(unread(log.clone(), Some(&known), true), log[1..]);
        assert_eq!(unread(log.clone(), Some(&known), false), log[1..]);
        assert_eq!(unread(log.clone(), Some(&"9".repeat(40)), true), []);
        assert_eq!(unread(log.clone(), Some(&"9".repeat(40)), false), log);
        assert_eq!(unread(log.clone(), None, false), log);
    }

    #[test]
    fn a_head_behind_its_reflog_is_no_move() {
        let at = |digit: char| Head::Detached { id: digit.to_string().repeat(40).parse().unwrap() };
        let last = "3".repeat(40);
        assert_eq!(unlogged(&at('2'), Some(&last), &[step('2', '3')]), None);
        assert_eq!(unlogged(&at('3'), Some(&last), &[]), None);
        assert!(unlogged(&at('5'), Some(&last), &[step('2', '3')]).is_some());
    }

    #[test]
    fn words_of_the_reflog_tell_how_a_commit_was_made() {
        let cases = [
            ("commit: a", Some("commit")),
            ("commit (initial): a", Some("commit")),
            ("commit (amend): a: b", Some("amend")),
            ("commit (merge): a", Some("merge")),
            ("merge topic: Fast-forward", Some("merge")),
            ("pull --rebase origin main (start): checkout", None),
            ("pull: Fast-forward", Some("pull")),
            ("rebase (pick): a", Some("rebase")),
            ("rebase (finish): returning to refs/heads/x", None),
            ("checkout: moving from a to b", None),
            ("reset: moving to HEAD~1", None),
            ("cherry-pick: a", Some("cherry_pick")),
            ("", Some("other")),
        ];
        for (message, wanted) in cases {
            assert_eq!(kind(message), wanted, "{message}");
        }
    }
}
