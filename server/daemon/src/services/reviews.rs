//! `worktree/review` and `review/*`.

use podium_protocol::{
    ReviewPushParams, ReviewPushed, ReviewSuggested, ReviewSuggestionsParams, WireError,
    WorktreeReviewParams, WorktreeReviewed,
};

use crate::call::Call;

type Answer<T> = Result<T, WireError>;

pub(crate) async fn open(call: Call, params: WorktreeReviewParams) -> Answer<WorktreeReviewed> {
    call.daemon.worktrees.review(params, &call.worktree_caller()).await
}

pub(crate) async fn suggestions(call: Call, params: ReviewSuggestionsParams) -> Answer<ReviewSuggested> {
    call.daemon.worktrees.suggestions(params, &call.worktree_caller()).await
}

pub(crate) async fn push(call: Call, params: ReviewPushParams) -> Answer<ReviewPushed> {
    call.daemon.worktrees.push_review(params, &call.worktree_caller()).await
}
