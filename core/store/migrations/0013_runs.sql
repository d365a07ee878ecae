-- A task that an agent works on: what was claimed for its session, and what is to become of the work. The row comes
-- before the session's.
CREATE TABLE task_runs (
    session       TEXT PRIMARY KEY,
    task          TEXT NOT NULL,
    agent_id      TEXT NOT NULL,
    worktree      TEXT NOT NULL,
    worktree_name TEXT NOT NULL,
    worktree_path BLOB NOT NULL,
    branch        TEXT,
    token         INTEGER NOT NULL,
    -- Commit that the worktree was at.
    base          TEXT,
    commits_rest  INTEGER NOT NULL,
    -- The agent keeps the claim: it was asked for, or was the agent's before.
    keeps_claim   INTEGER NOT NULL,
    state         TEXT NOT NULL,
    -- What came of it, JSON.
    outcome       TEXT,
    created_at    INTEGER NOT NULL,
    ended_at      INTEGER
);
CREATE UNIQUE INDEX task_runs_open ON task_runs (worktree) WHERE state <> 'ended';

-- Passages of transcripts: pieces of one answer joined. The index is derived, and made when somebody searches.
CREATE TABLE passages (
    id      INTEGER PRIMARY KEY,
    session TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    seq     INTEGER NOT NULL,
    last    INTEGER NOT NULL,
    kind    TEXT NOT NULL
);
CREATE INDEX passages_by_session ON passages (session, seq);
CREATE VIRTUAL TABLE passage_words USING fts5(
    text, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
);
CREATE TRIGGER passages_gone AFTER DELETE ON passages BEGIN
    DELETE FROM passage_words WHERE rowid = old.id;
END;
-- How far each session was read.
CREATE TABLE passages_read (
    session TEXT PRIMARY KEY REFERENCES sessions (id) ON DELETE CASCADE,
    seq     INTEGER NOT NULL
);
-- What goes is not found any more; the rest of its passage is read again.
CREATE TRIGGER items_gone AFTER DELETE ON items BEGIN
    UPDATE passages_read SET seq = min(seq, coalesce(
        (SELECT min(p.seq) FROM passages AS p WHERE p.session = old.session AND p.last >= old.seq), old.seq) - 1)
        WHERE session = old.session;
    DELETE FROM passages WHERE session = old.session AND last >= old.seq;
END;
