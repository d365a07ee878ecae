//! Reviews of pull requests and merge requests (seed 000, diagram 6).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{RepoSelector, Worktree};

/// Opens the pull request of a number in a worktree of its own, or enters and updates the one there is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorktreeReviewParams {
    #[serde(flatten)]
    pub at: RepoSelector,
    /// Number of the pull request or merge request. An editor's text is understood too: `123`, `#123`, `!123`.
    #[serde(default)]
    pub number: Option<ReviewNumber>,
    /// Remote that has it. Absent: the one `gh` was told to use, else `upstream`, else `origin`, else the only one.
    #[serde(default)]
    pub remote: Option<String>,
    /// Claim it for this agent in the same step.
    #[serde(default)]
    pub agent_id: Option<String>,
}

/// A number, or a text that holds one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ReviewNumber {
    Number(u64),
    Text(String),
}

impl ReviewNumber {
    /// The number, if it is one above zero.
    #[must_use]
    pub fn get(&self) -> Option<u64> {
        let number = match self {
            Self::Number(number) => *number,
            Self::Text(text) => text.trim().trim_start_matches(['#', '!']).parse().ok()?,
        };
        (number > 0 && i64::try_from(number).is_ok()).then_some(number)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorktreeReviewed {
    pub worktree: Worktree,
    pub elapsed_ms: f64,
    pub from_spare: bool,
    /// False when it existed and was entered.
    pub created: bool,
    /// Whether newer commits of the pull request were taken into the worktree.
    pub updated: bool,
    pub review: Review,
    /// What a person should know: it is merged already, the host was not reached, ...
    #[serde(default)]
    pub notes: Vec<String>,
}

/// What is known of a pull request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Review {
    pub number: u64,
    pub remote: String,
    /// Its newest commit, as of the last fetch.
    pub head: String,
    pub title: Option<String>,
    pub author: Option<String>,
    pub url: Option<String>,
    /// `open`, `closed` or `merged`, where the host told.
    pub state: Option<String>,
    /// Branch the pull request was made from, in `headRepo`.
    pub head_branch: Option<String>,
    /// `owner/name` of the repository that branch lies in: for a fork another one than the remote's.
    pub head_repo: Option<String>,
    pub base_branch: Option<String>,
    pub fork: Option<bool>,
    /// Whether those who maintain the target may push to the pull request's branch.
    pub maintainer_can_modify: Option<bool>,
    /// Who told: `gh`, `api` or `git`, which knows no more than commits.
    pub source: String,
}

/// What reviewers suggest in their comments (blocks marked `suggestion`), for a review that is open here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReviewSuggestionsParams {
    #[serde(flatten)]
    pub at: RepoSelector,
    #[serde(default)]
    pub number: Option<ReviewNumber>,
    /// Take them into the worktree, each as a commit of its own. Otherwise they are only told.
    #[serde(default)]
    pub apply: bool,
    /// Only of these comments.
    #[serde(default)]
    pub ids: Vec<u64>,
    #[serde(default)]
    pub agent_id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReviewSuggested {
    pub worktree: String,
    pub suggestions: Vec<Suggestion>,
    /// Number of commits that were made now.
    pub commits: u32,
    /// Commit of the worktree.
    pub head: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Suggestion {
    /// Id of the comment at the host.
    pub comment: u64,
    pub author: Option<String>,
    pub path: String,
    /// First and last line that it replaces, from 1; `null` where the host no longer finds them.
    pub from_line: Option<u32>,
    pub to_line: Option<u32>,
    /// What takes their place.
    pub text: String,
    pub url: Option<String>,
    pub state: SuggestionState,
    /// The commit it became now.
    pub commit: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SuggestionState {
    /// Can be tried.
    Open,
    /// The worktree has it.
    Applied,
    /// Its lines have changed since.
    Outdated,
}

/// Offers the commits made in a review's worktree: pushed to the pull request's own branch where that is allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReviewPushParams {
    #[serde(flatten)]
    pub at: RepoSelector,
    #[serde(default)]
    pub number: Option<ReviewNumber>,
    /// Push to a branch of this remote instead of the pull request's own branch.
    #[serde(default)]
    pub remote: Option<String>,
    /// Name of that branch. Absent: `review-N-suggestions`.
    #[serde(default)]
    pub branch: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReviewPushed {
    pub worktree: String,
    /// Where they were pushed to, without credentials.
    pub to: String,
    pub branch: String,
    /// Number of commits that the pull request did not have.
    pub commits: u32,
    pub head: String,
}
