-- Questions about tools, and answers that hold for longer.

-- Call of a tool that waits for the answer: it asks once, also across restarts.
ALTER TABLE inbox ADD COLUMN call TEXT;
ALTER TABLE inbox ADD COLUMN repo TEXT;
ALTER TABLE inbox ADD COLUMN tool TEXT;
ALTER TABLE inbox ADD COLUMN detail TEXT;
-- JSON lists.
ALTER TABLE inbox ADD COLUMN paths TEXT;
ALTER TABLE inbox ADD COLUMN options TEXT;
-- What a lasting answer is about, JSON: command, path.
ALTER TABLE inbox ADD COLUMN subject TEXT;
ALTER TABLE inbox ADD COLUMN deadline INTEGER;
ALTER TABLE inbox ADD COLUMN on_timeout TEXT;
ALTER TABLE inbox ADD COLUMN scope TEXT;
ALTER TABLE inbox ADD COLUMN answered_by TEXT;
ALTER TABLE inbox ADD COLUMN withdrawn_at INTEGER;
CREATE UNIQUE INDEX inbox_call ON inbox (session, call) WHERE call IS NOT NULL;

-- Answers that hold for a session, or for all sessions in a repository.
CREATE TABLE permissions (
    id         TEXT PRIMARY KEY,
    session    TEXT REFERENCES sessions (id) ON DELETE CASCADE,
    repo       TEXT REFERENCES repos (id) ON DELETE CASCADE,
    tool       TEXT NOT NULL,
    command    TEXT,
    path       TEXT,
    decision   TEXT NOT NULL,
    granted_by TEXT NOT NULL,
    granted_at INTEGER NOT NULL,
    CHECK ((session IS NULL) <> (repo IS NULL))
);
CREATE INDEX permissions_of_session ON permissions (session);
CREATE INDEX permissions_of_repo ON permissions (repo);
