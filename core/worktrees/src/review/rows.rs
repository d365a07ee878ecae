//! Rows of `reviews`.

use podium_protocol::Review;
use podium_store::rusqlite::{self, Connection, OptionalExtension, params};

use super::PullRequest;

/// What is stored of a review, if it was opened here before.
pub(super) fn read(conn: &Connection, repo: &str, number: u64) -> rusqlite::Result<Option<Review>> {
    let sql = "SELECT remote, head, title, author, url, state, head_branch, head_repo, base_branch, fork, can_modify,
        source FROM reviews WHERE repo = ?1 AND pr = ?2";
    let row = |row: &rusqlite::Row<'_>| {
        Ok(Review {
            number,
            remote: row.get(0)?,
            head: row.get(1)?,
            title: row.get(2)?,
            author: row.get(3)?,
            url: row.get(4)?,
            state: row.get(5)?,
            head_branch: row.get(6)?,
            head_repo: row.get(7)?,
            base_branch: row.get(8)?,
            fork: row.get(9)?,
            maintainer_can_modify: row.get(10)?,
            source: row.get(11)?,
        })
    };
    conn.prepare_cached(sql)?.query_row(params![repo, number], row).optional()
}

pub(super) fn write(conn: &Connection, repo: &str, review: &Review, now: i64) -> rusqlite::Result<()> {
    let sql =
        "INSERT OR REPLACE INTO reviews (repo, pr, remote, head, title, author, url, state, head_branch,
        head_repo, base_branch, fork, can_modify, source, looked_at)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
    conn.prepare_cached(sql)?.execute(params![
        repo,
        review.number,
        review.remote,
        review.head,
        review.title,
        review.author,
        review.url,
        review.state,
        review.head_branch,
        review.head_repo,
        review.base_branch,
        review.fork,
        review.maintainer_can_modify,
        review.source,
        now,
    ])?;
    Ok(())
}

/// What the host told now over what was known before.
pub(super) fn merged(known: Option<Review>, told: Option<PullRequest>, number: u64, remote: &str) -> Review {
    let mut review = known.filter(|known| known.remote == remote).unwrap_or_else(|| Review {
        number,
        remote: remote.to_owned(),
        source: "git".to_owned(),
        ..Review::default()
    });
    if let Some(told) = told {
        let short = |text: Option<String>| text.map(|text| text.chars().take(500).collect());
        review.title = short(told.title);
        review.author = short(told.author);
        review.url = short(told.url);
        review.state = short(told.state);
        review.head_branch = short(told.head_branch);
        review.head_repo = short(told.head_repo);
        review.base_branch = short(told.base_branch);
        review.fork = told.fork;
        review.maintainer_can_modify = told.maintainer_can_modify;
        review.source = told.source;
    }
    review
}
