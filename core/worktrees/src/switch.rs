//! Finding the worktree to go to.

use nucleo_matcher::pattern::{AtomKind, CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use podium_protocol::{Candidate, WireError, WorktreeSwitchParams, WorktreeSwitched};

use crate::error::Result;
use crate::paths;
use crate::provide::Hook;
use crate::rows::WorktreeRow;
use crate::service::Worktrees;
use crate::settings::Caller;

/// Most that are offered to choose from.
const CANDIDATES: usize = 50;

impl Worktrees {
    /// The worktree with this name or branch, else the only one that begins with it, contains it, or has its letters in
    /// this order.
    ///
    /// # Errors
    /// `NotFound` for none, `User` for several, with all of them as candidates.
    pub async fn switch(
        &self,
        params: WorktreeSwitchParams,
        caller: &Caller,
    ) -> Result<WorktreeSwitched, WireError> {
        let (handle, row) = match &params.name {
            None => {
                let (repo, row) = self.find(&params.at, None, caller).await?;
                (self.handle(&repo).await?, row)
            }
            Some(query) => {
                let handle = self.repo_at(&params.at, caller).await?;
                self.reconcile(&handle).await?;
                let (repo, asked) = (handle.row.id.clone(), query.clone());
                let read = self.inner.store.read(move |conn| -> Result<_> {
                    let exact = WorktreeRow::by_name(conn, &repo, &asked)?;
                    Ok((exact, WorktreeRow::of_repo(conn, &repo)?))
                });
                let (exact, rows) = read.await?;
                let row = match exact {
                    Some(row) => row,
                    None => self.only(search(rows, query), query)?,
                };
                (handle, row)
            }
        };
        let uri = match &params.at.uri {
            Some(uri) => self.same_file(uri, &row, caller).await?,
            None => None,
        };
        let ran = self.run_hook(Hook::PostSwitch, &handle, &row.path, &row.name, Some(&row), caller).await;
        if let Some(note) = ran.note() {
            tracing::info!(note, worktree = row.name, "the hook after a switch");
        }
        Ok(WorktreeSwitched { worktree: self.view_by_id(&handle, &row.id).await?, uri })
    }

    fn only(&self, mut found: Vec<WorktreeRow>, query: &str) -> Result<WorktreeRow, WireError> {
        let shown: String = query.chars().take(100).collect();
        if found.is_empty() {
            let error = WireError::not_found(format!("no worktree is called `{shown}`"));
            return Err(error.hint("`imi list` shows what there is"));
        }
        if found.len() == 1 {
            return Ok(found.swap_remove(0));
        }
        found.truncate(CANDIDATES);
        let names: Vec<&str> = found.iter().map(|row| row.name.as_str()).take(10).collect();
        let hint = format!("one of: {}", names.join(", "));
        let candidate = |row: &WorktreeRow| Candidate {
            name: row.name.clone(),
            branch: row.branch.clone(),
            path: row.path.to_string_lossy().into_owned(),
            owner: row.claim.as_ref().map(|claim| self.info(claim).owner()),
        };
        let candidates = found.iter().map(candidate).collect();
        Err(WireError::user(format!("`{shown}` means several worktrees")).hint(hint).meaning(candidates))
    }

    /// The file of a URI, in another worktree of its repository.
    async fn same_file(&self, uri: &str, target: &WorktreeRow, caller: &Caller) -> Result<Option<String>> {
        let path = paths::real(&paths::from_uri(uri)?);
        let Some((_, from)) = self.located(&path, caller).await? else { return Ok(None) };
        let Ok(relative) = path.strip_prefix(&from.path) else { return Ok(None) };
        let there = target.path.join(relative);
        Ok((from.repo == target.repo && there.is_file()).then(|| paths::to_uri(&there)))
    }
}

/// Whose name or branch begins with the query, else contains it, else has its letters in this order: the first way
/// that finds anything decides. Best first.
fn search(rows: Vec<WorktreeRow>, query: &str) -> Vec<WorktreeRow> {
    let tests: [fn(&str, &str) -> bool; 2] =
        [|text, part| text.starts_with(part), |text, part| text.contains(part)];
    let mut ranked = ranked(rows, query);
    for test in tests {
        let matches = |row: &WorktreeRow| {
            test(&row.name, query) || row.branch.as_deref().is_some_and(|branch| test(branch, query))
        };
        if ranked.iter().any(matches) {
            ranked.retain(matches);
            break;
        }
    }
    ranked
}

fn ranked(rows: Vec<WorktreeRow>, query: &str) -> Vec<WorktreeRow> {
    let pattern = Pattern::new(query, CaseMatching::Ignore, Normalization::Smart, AtomKind::Fuzzy);
    let mut matcher = Matcher::new(Config::DEFAULT.match_paths());
    let mut letters = Vec::new();
    let mut score = |text: &str| pattern.score(Utf32Str::new(text, &mut letters), &mut matcher);
    let scored = rows.into_iter().filter_map(|row| {
        let best = score(&row.name).max(row.branch.as_deref().and_then(&mut score))?;
        Some((best, row))
    });
    let mut scored: Vec<(u32, WorktreeRow)> = scored.collect();
    // Of two that fit as well, the shorter name has less that was not asked for.
    scored.sort_by(|(a, left), (b, right)| {
        b.cmp(a).then(left.name.len().cmp(&right.name.len())).then(left.name.cmp(&right.name))
    });
    scored.into_iter().map(|(_, row)| row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str) -> WorktreeRow {
        WorktreeRow {
            id: name.into(),
            repo: "r".into(),
            name: name.into(),
            path: format!("/p/{name}").into(),
            admin_dir: "/p/.git".into(),
            kind: "feat".into(),
            is_main: false,
            pr: None,
            branch: Some(name.into()),
            created_at: 0,
            removing: None,
            claim: None,
        }
    }

    fn found(query: &str) -> Vec<String> {
        let rows = ["feat-user-auth", "feat-user-list", "fix-login", "trunk-main", "feat-auth"].map(row);
        search(rows.into(), query).into_iter().map(|row| row.name).collect()
    }

    #[test]
    fn a_query_finds_by_beginning_part_and_letters_best_first() {
        assert_eq!(found("fix"), ["fix-login"]);
        assert_eq!(found("list"), ["feat-user-list"]);
        assert_eq!(found("ulist"), ["feat-user-list"]);
        assert_eq!(found("LOGIN"), ["fix-login"]);
        assert_eq!(found("auth"), ["feat-auth", "feat-user-auth"]);
        assert_eq!(found("user li"), ["feat-user-list"]);
        assert!(found("zzz").is_empty());
    }
}
