-- Links of synchronised files, and what they replaced. The guard of claimed worktrees.
-- Times are milliseconds since 1970 UTC. Paths are bytes.

CREATE TABLE sync_links (
    worktree TEXT NOT NULL REFERENCES worktrees (id) ON DELETE CASCADE,
    -- Below the top of the worktree.
    path     BLOB NOT NULL,
    -- As last told.
    state    TEXT NOT NULL,
    -- Whether a link was made here: what lies here instead has replaced it.
    linked   INTEGER NOT NULL,
    -- Text of that link: one of a worktree that was moved since leads nowhere, and is ours all the same.
    target   BLOB,
    -- Folders above it that were made for it.
    folders  INTEGER NOT NULL,
    PRIMARY KEY (worktree, path)
) WITHOUT ROWID;

-- Lines in the common info/exclude that were not there before.
CREATE TABLE sync_excludes (
    repo    TEXT NOT NULL REFERENCES repos (id) ON DELETE CASCADE,
    pattern BLOB NOT NULL,
    PRIMARY KEY (repo, pattern)
) WITHOUT ROWID;

CREATE TABLE sync_backups (
    id         TEXT PRIMARY KEY,
    repo       TEXT NOT NULL,
    worktree   TEXT NOT NULL,
    path       BLOB NOT NULL,
    kept       BLOB NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE INDEX sync_backups_by_repo ON sync_backups (repo, created_at);

-- What was changed in a repository for the guard, to be taken back.
CREATE TABLE guards (
    repo      TEXT PRIMARY KEY REFERENCES repos (id) ON DELETE CASCADE,
    -- A person took it out.
    off       INTEGER NOT NULL DEFAULT 0,
    -- extensions.worktreeConfig was set for it.
    extension INTEGER NOT NULL DEFAULT 0
);

-- Files of overrides that were turned into events.
CREATE TABLE guard_spools (
    id      TEXT PRIMARY KEY,
    read_at INTEGER NOT NULL
);
