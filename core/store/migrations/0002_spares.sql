-- Worktrees that wait, hidden and whole, to become somebody's. `state`: making, ready, advancing, leased, doomed.
CREATE TABLE spares (
    id         TEXT PRIMARY KEY,
    repo       TEXT NOT NULL REFERENCES repos (id) ON DELETE CASCADE,
    path       BLOB NOT NULL,
    -- Git's folder for it; empty until git has made it.
    admin_dir  BLOB NOT NULL DEFAULT x'',
    state      TEXT NOT NULL,
    -- Commit that its files are of.
    at         TEXT,
    changed_at INTEGER NOT NULL
);
CREATE INDEX spares_by_repo ON spares (repo, state);

-- The spare that a creation takes.
ALTER TABLE creations ADD COLUMN spare TEXT;

-- Ports and database names given to worktrees, unique among all of them; they go with the worktree's row.
CREATE TABLE leased_ports (
    port     INTEGER PRIMARY KEY,
    worktree TEXT NOT NULL REFERENCES worktrees (id) ON DELETE CASCADE
);
CREATE INDEX leased_ports_by_worktree ON leased_ports (worktree);
CREATE TABLE leased_databases (
    name     TEXT PRIMARY KEY,
    worktree TEXT NOT NULL REFERENCES worktrees (id) ON DELETE CASCADE
);
CREATE INDEX leased_databases_by_worktree ON leased_databases (worktree);
-- What a worktree had, so that one that comes back gets the same again where it is free. JSON.
CREATE TABLE lease_memories (
    worktree   TEXT PRIMARY KEY,
    had        TEXT NOT NULL,
    changed_at INTEGER NOT NULL
);

-- Hooks of projects that a person has read and allowed, by the hash of what they run.
CREATE TABLE hook_approvals (
    repo        TEXT NOT NULL REFERENCES repos (id) ON DELETE CASCADE,
    hash        TEXT NOT NULL,
    hook        TEXT NOT NULL,
    command     TEXT NOT NULL,
    approved_by TEXT NOT NULL,
    approved_at INTEGER NOT NULL,
    PRIMARY KEY (repo, hash)
) WITHOUT ROWID;

-- Folders on their way into a worktree. What a killed daemon left half copied is begun anew.
CREATE TABLE tree_copies (
    worktree   TEXT NOT NULL REFERENCES worktrees (id) ON DELETE CASCADE,
    path       BLOB NOT NULL,
    started_at INTEGER NOT NULL,
    PRIMARY KEY (worktree, path)
) WITHOUT ROWID;
