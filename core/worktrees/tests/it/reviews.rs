use std::path::{Path, PathBuf};

use podium_protocol::{
    ErrorKind, ReviewNumber, ReviewPushParams, WireError, WorktreeReviewParams, WorktreeReviewed,
};
use podium_worktrees::Step;

use crate::bed::{Bed, person};

/// A request in the origin: `refs/pull/N/head`, with one commit on top of `main`. Gives its author's clone.
fn request(bed: &Bed, refname: &str) -> PathBuf {
    let author = bed.root.join(format!("author-{}", refname.replace('/', "-")));
    bed.git(&bed.root, &["clone", "-q", "origin.git", author.to_str().unwrap()]);
    bed.git(&author, &["switch", "-qc", "topic"]);
    bed.commit(&author, "topic.txt", "offered\n");
    offer(bed, &author, refname);
    author
}

fn offer(bed: &Bed, author: &Path, refname: &str) {
    bed.git(author, &["push", "-q", "--force", "origin", &format!("HEAD:{refname}")]);
}

async fn review(bed: &Bed, number: u64) -> Result<WorktreeReviewed, WireError> {
    let number = Some(ReviewNumber::Number(number));
    let params = WorktreeReviewParams { at: bed.at(), number, ..Default::default() };
    bed.service.review(params, &person()).await
}

fn head(bed: &Bed, path: &str) -> String {
    bed.git(Path::new(path), &["rev-parse", "HEAD"]).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_opens_in_a_worktree_of_its_own_and_both_its_names_find_it() {
    let bed = Bed::new();
    let author = request(&bed, "refs/pull/7/head");
    let opened = review(&bed, 7).await.unwrap();
    let worktree = &opened.worktree;
    assert_eq!(
        (worktree.name.as_str(), worktree.kind.as_str(), worktree.pr),
        ("review-7", "review", Some(7))
    );
    assert_eq!(worktree.branch.as_deref(), Some("review-7"));
    assert_eq!(head(&bed, &worktree.path), head(&bed, author.to_str().unwrap()));
    assert!(opened.created && opened.review.source == "git");
    let tracked = std::fs::read_to_string(bed.work.join(".git/config")).unwrap();
    assert!(!tracked.contains("review-7"), "{tracked}");
    let refs = bed.git(&bed.work, &["for-each-ref", "--format=%(refname)"]);
    assert!(!refs.contains("pull"), "nothing that a mirror push would publish: {refs}");
    for name in ["review-7", "pr-7"] {
        bed.claim(name, "a").await.unwrap();
        bed.release(name, "a").await.unwrap();
    }
    assert_eq!(bed.events("worktree.reviewed").await[0].data["pr"], 7);
    bed.remove("pr-7", false).await.unwrap();
    assert_eq!(bed.git(&bed.work, &["branch", "--list", "review-7"]), "");
    assert_eq!(bed.names().await, ["trunk-main"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn opening_again_takes_newer_commits_in_also_after_a_rewrite() {
    let bed = Bed::new();
    let author = request(&bed, "refs/merge-requests/3/head");
    let path = review(&bed, 3).await.unwrap().worktree.path;
    assert!(!review(&bed, 3).await.unwrap().updated);
    let second = bed.commit(&author, "more.txt", "more\n");
    offer(&bed, &author, "refs/merge-requests/3/head");
    let again = review(&bed, 3).await.unwrap();
    assert!(again.updated && !again.created);
    assert_eq!(head(&bed, &path), second);
    bed.git(&author, &["reset", "-q", "--hard", "main"]);
    let rewritten = bed.commit(&author, "other.txt", "other\n");
    offer(&bed, &author, "refs/merge-requests/3/head");
    let again = review(&bed, 3).await.unwrap();
    assert!(again.updated && again.notes.iter().any(|note| note.contains("rewritten")), "{:?}", again.notes);
    assert_eq!(head(&bed, &path), rewritten);
    assert!(!Path::new(&path).join("topic.txt").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_in_a_review_is_never_overwritten() {
    let bed = Bed::new();
    let author = request(&bed, "refs/pull/7/head");
    let path = PathBuf::from(review(&bed, 7).await.unwrap().worktree.path);
    std::fs::write(path.join("topic.txt"), "my words\n").unwrap();
    bed.commit(&author, "topic.txt", "newer\n");
    offer(&bed, &author, "refs/pull/7/head");
    let again = review(&bed, 7).await.unwrap();
    assert!(!again.updated && again.notes[0].contains("has changes"), "{:?}", again.notes);
    let own = bed.commit(&path, "topic.txt", "my words\n");
    let again = review(&bed, 7).await.unwrap();
    assert!(!again.updated && again.notes[0].contains("commits of its own"), "{:?}", again.notes);
    assert_eq!(head(&bed, path.to_str().unwrap()), own);
    assert_eq!(bed.remove("review-7", false).await.unwrap_err().kind, ErrorKind::Conflict);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claimed_review_is_not_moved_under_its_owner() {
    let bed = Bed::new();
    let author = request(&bed, "refs/pull/7/head");
    let path = review(&bed, 7).await.unwrap().worktree.path;
    let before = head(&bed, &path);
    bed.claim("review-7", "claude-1").await.unwrap();
    bed.commit(&author, "b.txt", "b\n");
    offer(&bed, &author, "refs/pull/7/head");
    let again = review(&bed, 7).await.unwrap();
    assert!(!again.updated && again.notes[0].contains("claude-1"), "{:?}", again.notes);
    assert_eq!(head(&bed, &path), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_does_not_exist_and_an_absent_remote_are_told() {
    let bed = Bed::new();
    request(&bed, "refs/pull/7/head");
    let error = review(&bed, 999).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(error.message.contains("999"), "{error}");
    assert_eq!(bed.names().await, ["trunk-main"]);
    assert_eq!(bed.git(&bed.work, &["branch", "--list", "review-*"]), "");
    for text in ["", "x", "0", "-1", "99999999999999999999"] {
        let number = Some(ReviewNumber::Text(text.to_owned()));
        let params = WorktreeReviewParams { at: bed.at(), number, ..Default::default() };
        assert_eq!(bed.service.review(params, &person()).await.unwrap_err().kind, ErrorKind::User, "{text}");
    }
    review(&bed, 7).await.unwrap();
    std::fs::rename(bed.root.join("origin.git"), bed.root.join("away.git")).unwrap();
    let offline = review(&bed, 7).await.unwrap();
    assert!(offline.notes.iter().any(|note| note.contains("not updated")), "{:?}", offline.notes);
    assert!(review(&bed, 8).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_a_fork_is_found_at_the_project_it_was_made_to() {
    let bed = Bed::new();
    bed.git(&bed.root, &["clone", "-q", "--bare", "origin.git", "upstream.git"]);
    let author = request(&bed, "refs/heads/unrelated");
    bed.git(&author, &["push", "-q", "../upstream.git", "HEAD:refs/pull/12/head"]);
    bed.git(&bed.work, &["remote", "add", "upstream", "../upstream.git"]);
    let opened = review(&bed, 12).await.unwrap();
    assert_eq!(opened.review.remote, "upstream");
    let number = Some(ReviewNumber::Number(12));
    let remote = Some("nobody".to_owned());
    let params = WorktreeReviewParams { at: bed.at(), number, remote, ..Default::default() };
    assert_eq!(bed.service.review(params, &person()).await.unwrap_err().kind, ErrorKind::NotFound);
    assert!(!review(&bed, 12).await.unwrap().created);
}

#[tokio::test(flavor = "multi_thread")]
async fn suggestions_are_pushed_to_a_branch_that_is_named() {
    let bed = Bed::new();
    request(&bed, "refs/pull/7/head");
    let path = PathBuf::from(review(&bed, 7).await.unwrap().worktree.path);
    let push = |branch: Option<&str>| {
        let params = ReviewPushParams {
            at: bed.at(),
            number: Some(ReviewNumber::Number(7)),
            branch: branch.map(str::to_owned),
            ..Default::default()
        };
        let service = bed.service.clone();
        async move { service.push_review(params, &person()).await }
    };
    assert_eq!(push(Some("s")).await.unwrap_err().kind, ErrorKind::User, "there is nothing to push");
    let own = bed.commit(&path, "s.txt", "better\n");
    let error = push(None).await.unwrap_err();
    assert!(error.hints.iter().any(|hint| hint.contains("--branch")), "{error:?}");
    let pushed = push(Some("suggested")).await.unwrap();
    assert_eq!((pushed.commits, pushed.to.as_str()), (1, "origin"));
    let there = bed.git(&bed.root.join("origin.git"), &["rev-parse", "suggested"]);
    assert_eq!(there.trim(), own);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_that_was_cut_off_is_finished_with_its_number() {
    let mut bed = Bed::new();
    request(&bed, "refs/pull/7/head");
    *bed.stop_at.lock().unwrap() = Some(Step::CreateAdded);
    assert!(review(&bed, 7).await.is_err());
    bed.restart().await;
    let found = bed.list().await.into_iter().find(|worktree| worktree.name == "review-7").unwrap();
    assert_eq!(found.pr, Some(7));
    assert!(!review(&bed, 7).await.unwrap().created);
}
