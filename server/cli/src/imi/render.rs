//! What `imi` says to people.

use jiff::Timestamp;
use podium_protocol::{
    Alive, ClaimAcquired, ClaimInfo, ClaimStanding, ClaimVerified, TreeStatus, Worktree, WorktreeCreated,
    WorktreeRemoved, WorktreeState, WorktreeStatus, WorktreeUndone,
};

use crate::style::{Painter, count, one_line, printable, shell_word, shortened};
use crate::table::Rows;
use crate::time::ago;

/// Widest summary of a commit in a list.
const SUMMARY_WIDTH: usize = 48;

pub(super) fn created(made: &WorktreeCreated, entered: bool, paint: Painter) -> String {
    let what = if made.created { "made" } else { "already there" };
    let how = if made.from_spare { ", from a spare" } else { "" };
    let mut text = format!(
        "{} {} {what} {}\n  {}\n",
        paint.green("✓"),
        paint.bold(&one_line(&made.worktree.name)),
        paint.dim(&format!("({:.0} ms{how})", made.elapsed_ms)),
        printable(&made.worktree.path),
    );
    if let Some(claim) = &made.worktree.claim {
        text += &format!("  claimed by {}, token {}\n", one_line(&claim.agent_id), claim.token);
    }
    for note in &made.notes {
        text += &format!("{} {}\n", paint.yellow("note:"), printable(note));
    }
    text + &cd_hint(&made.worktree, entered, paint)
}

pub(super) fn switched(worktree: &Worktree, entered: bool, paint: Painter) -> String {
    let owner = worktree
        .claim
        .as_ref()
        .map(|claim| format!("  {}", paint.cyan(&format!("held by {}", one_line(&claim.agent_id)))));
    format!(
        "{}{}  {}\n{}",
        paint.bold(&one_line(&worktree.name)),
        owner.unwrap_or_default(),
        printable(&worktree.path),
        cd_hint(worktree, entered, paint)
    )
}

/// How to get there, for who has no shell function.
pub(super) fn cd_hint(worktree: &Worktree, entered: bool, paint: Painter) -> String {
    if entered {
        return String::new();
    }
    format!(
        "{} cd {}\n{} `imi shell-init bash|zsh|fish` prints a function that goes there by itself\n",
        paint.cyan("hint:"),
        shell_word(&printable(&worktree.path)),
        paint.cyan("hint:"),
    )
}

pub(super) fn list(worktrees: &[Worktree], all: bool, now: Timestamp, paint: Painter) -> String {
    if worktrees.is_empty() {
        return format!("no worktrees yet\n{} imi feat NAME makes one", paint.cyan("hint:"));
    }
    let mut rows = Rows::new(&["REPO", "NAME", "OWNER", "CHANGES", "TRUNK", "LAST COMMIT", "NOTE"]);
    for w in worktrees {
        let repo = if all { w.repo.root.clone() } else { String::new() };
        let commit = w.last_commit.as_ref();
        rows.push([
            repo,
            w.name.clone(),
            w.claim.as_ref().map_or_else(String::new, |c| owner(c, now)),
            w.status.as_ref().map_or_else(String::new, changes),
            w.status.as_ref().map_or_else(String::new, against_trunk),
            commit.map_or_else(String::new, |c| {
                format!("{} {}", ago(&c.time, now), shortened(&one_line(&c.summary), SUMMARY_WIDTH))
            }),
            remark(w),
        ]);
    }
    rows.render(paint)
}

pub(super) fn status(answer: &WorktreeStatus, now: Timestamp, paint: Painter) -> String {
    let w = &answer.worktree;
    let branch =
        w.branch.as_deref().map_or_else(|| "detached HEAD".to_owned(), |b| format!("on {}", one_line(b)));
    let mut text = format!("{} {}\n  {}\n", paint.bold(&one_line(&w.name)), branch, printable(&w.path));
    text += &match &w.claim {
        Some(claim) => format!("  claimed by {}\n", owner(claim, now)),
        None => "  free\n".to_owned(),
    };
    if let Some(status) = &w.status {
        let changes = changes(status);
        let trunk = against_trunk(status);
        text += &format!("  {}\n", if changes.is_empty() { "clean" } else { &changes });
        if !trunk.is_empty() {
            text += &format!("  {trunk} of trunk\n");
        }
    }
    let remark = remark(w);
    if !remark.is_empty() {
        text += &format!("  {}\n", paint.yellow(&remark));
    }
    for change in &answer.changed {
        text += &format!("{} {}\n", paint.yellow(&change.code), one_line(&change.path));
    }
    text
}

/// `feat-x +1 ~2 ?3 !1 ↑4 ↓5 merge claimed:claude-1`; what is zero or absent is left out.
pub(super) fn short(worktree: &Worktree, paint: Painter) -> String {
    let mut parts = vec![one_line(&worktree.name)];
    if let Some(status) = &worktree.status {
        parts.push(paint.yellow(&counts(status)));
        parts.push(arrows(status));
        parts.extend(
            status.in_progress.as_ref().map(|operation| paint.red(&one_line(operation).replace('_', "-"))),
        );
    }
    if let Some(claim) = &worktree.claim {
        let owner = format!("claimed:{}", one_line(&claim.agent_id));
        parts.push(if claim.alive == Alive::No {
            paint.red(&format!("{owner}(dead)"))
        } else {
            paint.cyan(&owner)
        });
    }
    let plain = paint.yellow("");
    parts.retain(|part| !part.is_empty() && *part != plain);
    parts.join(" ")
}

/// `+1 ~2 ?3 !4`: staged, modified, untracked, conflicted.
pub(super) fn counts(status: &TreeStatus) -> String {
    let counts =
        [('+', status.staged), ('~', status.modified), ('?', status.untracked), ('!', status.conflicted)];
    let shown = counts.iter().filter(|(_, count)| *count > 0).map(|(sign, count)| format!("{sign}{count}"));
    shown.collect::<Vec<_>>().join(" ")
}

/// `↑4 ↓5`: commits that trunk does not have, and those of trunk that are missing. Nothing when there are none.
pub(super) fn arrows(status: &TreeStatus) -> String {
    match (status.ahead, status.behind) {
        (0, 0) => String::new(),
        (ahead, behind) => format!("↑{ahead} ↓{behind}"),
    }
}

pub(super) fn claimed(claim: &ClaimAcquired, now: Timestamp, paint: Painter) -> String {
    let mut text = format!(
        "{} {} {} {}, token {}\n  {}\n",
        paint.green("✓"),
        paint.bold(&one_line(&claim.worktree)),
        if claim.already { "was claimed already by" } else { "is claimed by" },
        one_line(&claim.agent_id),
        claim.token,
        printable(&claim.path),
    );
    if let Some(old) = &claim.replaced {
        let old = format!("{} ({}, {})", one_line(&old.agent_id), alive(old.alive), ago(&old.since, now));
        text += &format!("{} taken over from {old}\n", paint.yellow("note:"));
    }
    text
}

pub(super) fn verified(answer: &ClaimVerified, now: Timestamp, paint: Painter) -> String {
    let name = paint.bold(&one_line(&answer.worktree));
    let who = || answer.claim.as_ref().map_or_else(|| "somebody else".to_owned(), |c| owner(c, now));
    match answer.standing {
        ClaimStanding::Free => format!("{name} is free"),
        ClaimStanding::Mine => format!("{name} is yours"),
        ClaimStanding::Stale => format!("{name}: your token is stale, the claim was taken anew: {}", who()),
        ClaimStanding::Other => format!("{name} is claimed by {}", who()),
    }
}

pub(super) fn removed(answer: &WorktreeRemoved, paint: Painter) -> String {
    let branch = if answer.branch_deleted { " with its branch" } else { "; its branch stays" };
    let (done, name, hint) = (paint.green("✓"), paint.bold(&one_line(&answer.name)), paint.cyan("hint:"));
    let (undo, until) = (one_line(&answer.undo), one_line(&answer.undo_until));
    let mut text = format!("{done} {name} is removed{branch}\n");
    for id in &answer.interrupted {
        let (id, note) = (one_line(id), paint.yellow("note:"));
        text += &format!("{note} session {id} worked there and is interrupted; after an undo, ");
        text += &format!("`jelmore sessions resume {id}` goes on with it\n");
    }
    text + &format!("{hint} `imi undo {undo}` brings it back until {until}")
}

pub(super) fn undone(answer: &WorktreeUndone, paint: Painter) -> String {
    let (done, name) = (paint.green("✓"), one_line(&answer.worktree.name));
    let mut text = format!("{done} {name} is back at {}", printable(&answer.worktree.path));
    for note in &answer.notes {
        text += &format!("\n{} {}", paint.yellow("note:"), printable(note));
    }
    text
}

fn owner(claim: &ClaimInfo, now: Timestamp) -> String {
    let pid = claim.pid.map_or_else(String::new, |pid| format!(", pid {pid}"));
    format!("{} ({}{pid}, {})", one_line(&claim.agent_id), alive(claim.alive), ago(&claim.since, now))
}

const fn alive(alive: Alive) -> &'static str {
    match alive {
        Alive::Yes => "alive",
        Alive::No => "dead",
        Alive::Unknown => "not seen lately",
    }
}

fn changes(status: &TreeStatus) -> String {
    let counts = [
        (status.conflicted, "conflicted"),
        (status.staged, "staged"),
        (status.modified, "modified"),
        (status.untracked, "untracked"),
    ];
    let mut parts: Vec<String> =
        counts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    if let Some(operation) = &status.in_progress {
        parts.insert(0, format!("in {}", one_line(operation).replace('_', "-")));
    }
    parts.join(", ")
}

fn against_trunk(status: &TreeStatus) -> String {
    match (status.ahead, status.behind) {
        (0, 0) => String::new(),
        (ahead, 0) => format!("{ahead} ahead"),
        (0, behind) => format!("{behind} behind"),
        (ahead, behind) => format!("{ahead} ahead, {behind} behind"),
    }
}

pub(super) fn remark(worktree: &Worktree) -> String {
    let mut parts = Vec::new();
    match worktree.state {
        WorktreeState::Ready => {}
        WorktreeState::Filling => parts.push("files are still arriving".to_owned()),
        WorktreeState::Missing => parts.push("its folder is gone".to_owned()),
    }
    if !worktree.conflicts_with.is_empty() {
        let n = worktree.conflicts_with.len() as u64;
        parts.push(format!("{} with {}", count(n, "conflict"), worktree.conflicts_with.join(", ")));
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use podium_protocol::{ChangedPath, CommitInfo, RepoRef};

    fn now() -> Timestamp {
        "2026-01-02T12:00:00Z".parse().unwrap()
    }

    fn worktree(name: &str) -> Worktree {
        Worktree {
            id: format!("id-{name}"),
            repo: RepoRef { id: "r1".into(), root: "/code/app".into() },
            name: name.into(),
            path: format!("/code/app.worktrees/{name}"),
            path_bytes: None,
            branch: Some(name.into()),
            kind: "feat".into(),
            trunk: false,
            pr: None,
            claim: None,
            status: Some(TreeStatus::default()),
            last_commit: Some(CommitInfo {
                id: "c0ffee".into(),
                summary: "Count the sheep before they leave the meadow, twice".into(),
                time: "2026-01-02T09:00:00Z".into(),
            }),
            conflicts_with: Vec::new(),
            state: WorktreeState::Ready,
        }
    }

    fn busy_worktree() -> Worktree {
        Worktree {
            claim: Some(ClaimInfo {
                agent_id: "claude-1".into(),
                host: "box".into(),
                pid: Some(4711),
                since: "2026-01-02T11:57:00Z".into(),
                token: 17,
                alive: Alive::Yes,
                session: None,
            }),
            status: Some(TreeStatus {
                staged: 1,
                modified: 2,
                untracked: 3,
                ahead: 4,
                behind: 5,
                ..TreeStatus::default()
            }),
            conflicts_with: vec!["fix-login".into()],
            ..worktree("feat-user-auth")
        }
    }

    #[test]
    fn a_list_shows_owner_changes_and_distance() {
        let missing = Worktree {
            state: WorktreeState::Missing,
            status: None,
            last_commit: None,
            ..worktree("fix-gone")
        };
        let shown =
            list(&[worktree("feat-quiet"), busy_worktree(), missing], false, now(), Painter::new(false));
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn an_empty_list_says_what_to_do() {
        insta::assert_snapshot!(list(&[], false, now(), Painter::new(false)));
    }

    #[test]
    fn a_status_shows_the_changed_files() {
        let changed = vec![ChangedPath { path: "src/a b.rs".into(), code: " M".into() }];
        let answer = WorktreeStatus { worktree: busy_worktree(), changed };
        insta::assert_snapshot!(status(&answer, now(), Painter::new(false)));
    }

    #[test]
    fn the_short_status_fits_a_prompt() {
        let plain = Painter::new(false);
        assert_eq!(short(&busy_worktree(), plain), "feat-user-auth +1 ~2 ?3 ↑4 ↓5 claimed:claude-1");
        assert_eq!(short(&worktree("feat-quiet"), plain), "feat-quiet");
        assert_eq!(short(&worktree("feat-quiet"), Painter::new(true)), "feat-quiet");
        let mut merging = busy_worktree();
        merging.status =
            Some(TreeStatus { conflicted: 2, in_progress: Some("merge".into()), ..Default::default() });
        merging.claim.iter_mut().for_each(|claim| claim.alive = Alive::No);
        assert_eq!(short(&merging, plain), "feat-user-auth !2 merge claimed:claude-1(dead)");
    }

    #[test]
    fn a_new_worktree_comes_with_the_way_to_it() {
        let made = WorktreeCreated {
            worktree: Worktree { path: "/code/my app.worktrees/feat-x".into(), ..busy_worktree() },
            elapsed_ms: 14.6,
            from_spare: true,
            created: true,
            notes: vec!["trunk could not be fetched: offline".into()],
        };
        insta::assert_snapshot!("made", created(&made, false, Painter::new(false)));
        insta::assert_snapshot!("made_and_entered", created(&made, true, Painter::new(false)));
    }

    #[test]
    fn a_takeover_names_the_old_owner() {
        let claim = busy_worktree().claim.unwrap();
        let acquired = ClaimAcquired {
            worktree: "feat-user-auth".into(),
            agent_id: "claude-2".into(),
            token: 18,
            since: "2026-01-02T12:00:00Z".into(),
            path: "/code/app.worktrees/feat-user-auth".into(),
            already: false,
            replaced: Some(claim.owner()),
        };
        insta::assert_snapshot!(claimed(&acquired, now(), Painter::new(false)));
    }

    #[test]
    fn a_removal_names_its_undo() {
        let answer = WorktreeRemoved {
            name: "feat-x".into(),
            undo: "u-1".into(),
            branch_deleted: true,
            undo_until: "2026-02-01T12:00:00Z".into(),
            interrupted: Vec::new(),
        };
        insta::assert_snapshot!(removed(&answer, Painter::new(false)));
        let answer = WorktreeRemoved { interrupted: vec!["s-1".into()], ..answer };
        let text = removed(&answer, Painter::new(false));
        assert!(text.contains("session s-1") && text.contains("`jelmore sessions resume s-1`"), "{text}");
    }
}
