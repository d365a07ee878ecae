//! Comments on lines, as GitHub's REST API has them; `gh api` passes them on as they are.

use podium_worktrees::{ForgeError, ReviewComment};
use serde::Deserialize;

/// The side of a diff that has the new lines.
const NEW: &str = "RIGHT";

/// The pages of an answer, one list behind the other: `gh api --paginate` prints them so.
pub(super) fn read(pages: &[u8]) -> Result<Vec<ReviewComment>, ForgeError> {
    let mut comments = Vec::new();
    for page in serde_json::Deserializer::from_slice(pages).into_iter::<Vec<Answer>>() {
        let page = page.map_err(|error| {
            ForgeError::Unavailable(format!("the host answered something unexpected: {error}"))
        })?;
        comments.extend(page.into_iter().map(ReviewComment::from));
    }
    Ok(comments)
}

#[derive(Deserialize)]
struct Answer {
    id: u64,
    user: Option<User>,
    html_url: Option<String>,
    path: String,
    /// Of the newest commit; `null` once the lines are gone.
    line: Option<u32>,
    start_line: Option<u32>,
    side: Option<String>,
    start_side: Option<String>,
    commit_id: Option<String>,
    #[serde(default)]
    body: String,
}

#[derive(Deserialize)]
struct User {
    login: Option<String>,
}

impl From<Answer> for ReviewComment {
    fn from(answer: Answer) -> Self {
        let is_new = |side: &Option<String>| side.as_deref().is_none_or(|side| side == NEW);
        let stands = is_new(&answer.side) && is_new(&answer.start_side);
        Self {
            id: answer.id,
            author: answer.user.and_then(|user| user.login),
            url: answer.html_url,
            path: answer.path,
            start_line: answer.start_line.filter(|_| stands),
            line: answer.line.filter(|_| stands),
            commit: answer.commit_id,
            body: answer.body,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_and_comments_on_old_lines_have_none() {
        let pages =
            br#"[{"id":1,"path":"a","line":3,"start_line":2,"side":"RIGHT","commit_id":"c","body":"b",
            "user":{"login":"ada"}}][{"id":2,"path":"a","line":3,"side":"LEFT","body":"b","user":null},
            {"id":3,"path":"a","line":null,"body":"b"}]"#;
        let read = read(pages).unwrap();
        assert_eq!(read.iter().map(|comment| comment.id).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(
            (read[0].start_line, read[0].line, read[0].author.as_deref()),
            (Some(2), Some(3), Some("ada"))
        );
        assert!(read[1].line.is_none() && read[2].line.is_none());
        assert!(super::read(b"[{").is_err());
    }
}
