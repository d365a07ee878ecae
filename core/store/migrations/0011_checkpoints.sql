-- Checkpoints are named within their session: a fork has those of its beginning under the same names.
-- `kind`: turn_start, turn, turn_end, rewind. `state` and `mark` as in sessions. `status`: what the session is when it is
-- taken back to there. `snapshot`: the worktree's files then, JSON.
CREATE TABLE checkpoints_new (
    session       TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    id            TEXT NOT NULL,
    seq           INTEGER NOT NULL,
    kind          TEXT NOT NULL,
    status        TEXT NOT NULL,
    state         BLOB,
    mark          TEXT,
    snapshot      TEXT,
    input_tokens  INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    cost_usd      REAL NOT NULL DEFAULT 0,
    created_at    INTEGER NOT NULL,
    PRIMARY KEY (session, id)
);
INSERT INTO checkpoints_new (session, id, seq, kind, status, state, created_at)
    SELECT session, id, seq, 'turn', 'interrupted', state, created_at FROM checkpoints;
DROP TABLE checkpoints;
ALTER TABLE checkpoints_new RENAME TO checkpoints;
CREATE INDEX checkpoints_by_session ON checkpoints (session, seq);

-- What a turn made of its worktree. `seq`: the item of its prompt. `started`, `ended`: checkpoints. `files`: JSON list of
-- paths; `diff`: artifact.
CREATE TABLE turns (
    session TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    seq     INTEGER NOT NULL,
    started TEXT NOT NULL,
    ended   TEXT,
    files   TEXT,
    diff    TEXT,
    PRIMARY KEY (session, seq)
) WITHOUT ROWID;

-- Rewinds under way. One that outlives its daemon is finished by the next.
CREATE TABLE rewinds (
    session    TEXT PRIMARY KEY REFERENCES sessions (id) ON DELETE CASCADE,
    target     TEXT NOT NULL,
    -- Checkpoint of what was there before.
    undo       TEXT NOT NULL,
    -- Whether the branch goes back too.
    commits    INTEGER NOT NULL,
    started_at INTEGER NOT NULL
) WITHOUT ROWID;
