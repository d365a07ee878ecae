-- Times are milliseconds since 1970 UTC. Paths are bytes.

CREATE TABLE events (
    seq          INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    type         TEXT NOT NULL,
    time         INTEGER NOT NULL,
    subject      TEXT,
    data_version INTEGER NOT NULL,
    data         TEXT NOT NULL,
    correlation  TEXT,
    causation    TEXT
);
CREATE INDEX events_by_time ON events (time);

-- Values that only ever rise. `fence` is the last fencing token given out.
CREATE TABLE sequences (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO sequences VALUES ('fence', 0);

CREATE TABLE repos (
    id         TEXT PRIMARY KEY,
    common_dir BLOB NOT NULL UNIQUE,
    root       BLOB NOT NULL,
    created_at INTEGER NOT NULL
);

CREATE TABLE worktrees (
    id            TEXT PRIMARY KEY,
    repo          TEXT NOT NULL REFERENCES repos (id) ON DELETE CASCADE,
    name          TEXT NOT NULL,
    path          BLOB NOT NULL,
    admin_dir     BLOB NOT NULL,
    kind          TEXT NOT NULL,
    is_main       INTEGER NOT NULL,
    pr            INTEGER,
    branch        TEXT,
    created_at    INTEGER NOT NULL,
    -- Removal under way; nobody may claim it meanwhile.
    removing      TEXT,
    -- The claim. All NULL while the worktree is free, but for released_at.
    agent_id      TEXT,
    token         INTEGER,
    host          TEXT,
    pid           INTEGER,
    pid_start     INTEGER,
    boot_id       TEXT,
    session       TEXT,
    claimed_at    INTEGER,
    heartbeat_at  INTEGER,
    owner_dead_at INTEGER,
    released_at   INTEGER,
    UNIQUE (repo, name)
);
CREATE INDEX worktrees_by_path ON worktrees (path);
CREATE INDEX worktrees_by_session ON worktrees (session) WHERE session IS NOT NULL;

-- Worktrees that git is about to make. One that outlives its daemon is finished or cleaned up by the next.
CREATE TABLE creations (
    id         TEXT PRIMARY KEY,
    repo       TEXT NOT NULL REFERENCES repos (id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    path       BLOB NOT NULL,
    kind       TEXT NOT NULL,
    -- Branch and commit, where the branch is made for it.
    branch     TEXT,
    start      TEXT,
    started_at INTEGER NOT NULL,
    UNIQUE (repo, name)
);

-- Worktrees on their way to the trash, in it, or back. `state`: intent, trashed, restoring, undone, purged.
CREATE TABLE removals (
    id          TEXT PRIMARY KEY,
    repo        TEXT NOT NULL REFERENCES repos (id) ON DELETE CASCADE,
    state       TEXT NOT NULL,
    worktree    TEXT NOT NULL,
    name        TEXT NOT NULL,
    path        BLOB NOT NULL,
    admin_dir   BLOB NOT NULL,
    -- Folder of admin folder and bundle; and of the tree, which may be on another file system.
    trash       BLOB NOT NULL,
    tree_trash  BLOB NOT NULL,
    kind        TEXT NOT NULL,
    pr          INTEGER,
    branch      TEXT,
    head        TEXT,
    delete_branch INTEGER NOT NULL,
    branch_deleted INTEGER NOT NULL DEFAULT 0,
    forced      INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    removed_by  TEXT NOT NULL,
    removed_at  INTEGER NOT NULL,
    purge_at    INTEGER NOT NULL
);
CREATE INDEX removals_by_repo ON removals (repo, removed_at);

CREATE TABLE sessions (
    id            TEXT PRIMARY KEY,
    provider      TEXT NOT NULL,
    model         TEXT,
    status        TEXT NOT NULL,
    reason        TEXT,
    title         TEXT NOT NULL,
    agent_id      TEXT,
    repo          TEXT,
    worktree      TEXT,
    worktree_name TEXT,
    worktree_path BLOB,
    -- What the provider needs to begin or go on: parameters and, with a checkpoint, its state. JSON.
    request       TEXT NOT NULL,
    state         BLOB,
    last_seq      INTEGER NOT NULL DEFAULT 0,
    input_tokens  INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    cost_usd      REAL NOT NULL DEFAULT 0,
    checkpoint_id TEXT,
    checkpoint_seq INTEGER,
    artifact      TEXT,
    -- Instance of the daemon that runs it; another instance's session is nobody's.
    runner        TEXT,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
);
CREATE INDEX sessions_by_time ON sessions (created_at);
CREATE INDEX sessions_by_status ON sessions (status);

CREATE TABLE items (
    session TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    seq     INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    text    TEXT NOT NULL,
    final   INTEGER NOT NULL,
    data    TEXT,
    -- Token ids that the item stands for, little-endian u32 each.
    tokens  BLOB,
    time    INTEGER NOT NULL,
    PRIMARY KEY (session, seq)
) WITHOUT ROWID;

CREATE TABLE checkpoints (
    id         TEXT PRIMARY KEY,
    session    TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    seq        INTEGER NOT NULL,
    state      BLOB NOT NULL,
    created_at INTEGER NOT NULL
);
CREATE INDEX checkpoints_by_session ON checkpoints (session, seq);

CREATE TABLE artifacts (
    -- Order of arrival; the search index tells by it how far it has read.
    n          INTEGER PRIMARY KEY AUTOINCREMENT,
    id         TEXT NOT NULL UNIQUE,
    hash       TEXT NOT NULL,
    title      TEXT NOT NULL,
    kind       TEXT NOT NULL,
    media_type TEXT NOT NULL,
    bytes      INTEGER NOT NULL,
    session    TEXT,
    worktree   TEXT,
    created_at INTEGER NOT NULL
);
CREATE INDEX artifacts_by_time ON artifacts (created_at);
CREATE INDEX artifacts_by_hash ON artifacts (hash);
CREATE INDEX artifacts_by_session ON artifacts (session);

CREATE TABLE inbox (
    id          TEXT PRIMARY KEY,
    agent_id    TEXT NOT NULL,
    session     TEXT,
    question    TEXT NOT NULL,
    asked_at    INTEGER NOT NULL,
    decision    TEXT,
    answered_at INTEGER
);
