-- Where HEAD of each worktree was when its moves were last told as events. Written in the transaction of the events.
CREATE TABLE heads (
    worktree TEXT PRIMARY KEY REFERENCES worktrees (id) ON DELETE CASCADE,
    -- NULL before the first look, and for a branch without a commit.
    head     TEXT,
    -- Bytes of HEAD's reflog that were read.
    log_end  INTEGER NOT NULL
) WITHOUT ROWID;
