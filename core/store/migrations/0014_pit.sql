-- Melodies as they were when a run of them began, by the BLAKE3 of their text.
CREATE TABLE melody_texts (
    hash   TEXT PRIMARY KEY,
    -- `toml` or `json`.
    format TEXT NOT NULL,
    text   TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE melody_runs (
    number     INTEGER PRIMARY KEY,
    id         TEXT NOT NULL UNIQUE,
    melody     TEXT NOT NULL,
    name       TEXT NOT NULL,
    version    TEXT NOT NULL,
    text_hash  TEXT NOT NULL REFERENCES melody_texts (hash),
    -- Folder that the nodes work in, and the worktree that it is, if it is one.
    folder     BLOB NOT NULL,
    repo       TEXT,
    worktree   TEXT,
    started_by TEXT NOT NULL,
    -- Session of the agent that started it.
    session    TEXT,
    -- Variables that a next daemon runs commands with, JSON; no keys among them.
    variables  TEXT NOT NULL,
    inputs     TEXT NOT NULL,
    status     TEXT NOT NULL,
    outputs    TEXT,
    error      TEXT,
    total      INTEGER NOT NULL,
    completed  INTEGER NOT NULL DEFAULT 0,
    failed     INTEGER NOT NULL DEFAULT 0,
    skipped    INTEGER NOT NULL DEFAULT 0,
    -- Time that its nodes took, without what lay between two daemons.
    elapsed_us INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    ended_at   INTEGER
);
CREATE INDEX melody_runs_open ON melody_runs (number) WHERE ended_at IS NULL;
CREATE INDEX melody_runs_of ON melody_runs (melody, number);

-- What happened in a run, in order; the state of its nodes follows from it.
CREATE TABLE melody_records (
    run     INTEGER NOT NULL REFERENCES melody_runs (number) ON DELETE CASCADE,
    seq     INTEGER NOT NULL,
    -- NULL where it is about the run.
    node    TEXT,
    state   TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    -- Of the attempt that ended, microseconds.
    took    INTEGER,
    at      INTEGER NOT NULL,
    -- Session that does the work of the node.
    session TEXT,
    -- The record whole, JSON.
    record  TEXT NOT NULL,
    PRIMARY KEY (run, seq)
) WITHOUT ROWID;

-- What nodes said.
CREATE TABLE melody_logs (
    run     INTEGER NOT NULL REFERENCES melody_runs (number) ON DELETE CASCADE,
    seq     INTEGER NOT NULL,
    node    TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    stream  TEXT NOT NULL,
    text    TEXT NOT NULL,
    at      INTEGER NOT NULL,
    PRIMARY KEY (run, seq)
) WITHOUT ROWID;

-- Outputs of pure nodes, by what they do and what they are given.
CREATE TABLE melody_actions (
    key     BLOB PRIMARY KEY,
    outputs TEXT NOT NULL,
    bytes   INTEGER NOT NULL,
    used_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX melody_actions_used ON melody_actions (used_at);
