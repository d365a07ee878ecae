-- Reviews and merges.

-- What was told of the pull requests that were opened here.
CREATE TABLE reviews (
    repo        TEXT NOT NULL REFERENCES repos (id) ON DELETE CASCADE,
    pr          INTEGER NOT NULL,
    remote      TEXT NOT NULL,
    -- Commit of the pull request that the worktree was last brought to.
    head        TEXT NOT NULL,
    title       TEXT,
    author      TEXT,
    url         TEXT,
    state       TEXT,
    head_branch TEXT,
    head_repo   TEXT,
    base_branch TEXT,
    fork        INTEGER,
    can_modify  INTEGER,
    source      TEXT NOT NULL,
    looked_at   INTEGER NOT NULL,
    PRIMARY KEY (repo, pr)
) WITHOUT ROWID;

-- Branches on their way into trunk, in it, or taken out again. `state`: intent, merged, undoing, undone, purged.
CREATE TABLE merges (
    id        TEXT PRIMARY KEY,
    repo      TEXT NOT NULL REFERENCES repos (id) ON DELETE CASCADE,
    state     TEXT NOT NULL,
    worktree  TEXT NOT NULL,
    name      TEXT NOT NULL,
    branch    TEXT,
    head      TEXT NOT NULL,
    -- Branch of trunk, and its commits before and after.
    trunk     TEXT NOT NULL,
    old       TEXT NOT NULL,
    new       TEXT NOT NULL,
    mode      TEXT NOT NULL,
    -- Removal of the worktree that came with it.
    removal   TEXT,
    merged_by TEXT NOT NULL,
    merged_at INTEGER NOT NULL,
    purge_at  INTEGER NOT NULL
);
CREATE INDEX merges_by_repo ON merges (repo, merged_at);

-- Types of worktrees besides those that come with the program.
CREATE TABLE worktree_types (
    name       TEXT PRIMARY KEY,
    about      TEXT NOT NULL,
    created_at INTEGER NOT NULL
) WITHOUT ROWID;
