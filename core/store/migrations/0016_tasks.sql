-- Who published an event, as the path behind the host in its source; NULL for the daemon's own.
ALTER TABLE events ADD COLUMN origin TEXT;

-- Tasks of the queues. The row comes with its event `task.assigned`, its end with `task.completed` or `task.failed`.
CREATE TABLE tasks (
    id         TEXT PRIMARY KEY,
    queue      TEXT NOT NULL,
    -- Order within the queue.
    place      INTEGER NOT NULL,
    -- Id of the event that assigned it, and what that belongs to.
    event      TEXT NOT NULL,
    correlation TEXT,
    -- Who alone may do it.
    agent_id   TEXT,
    -- As it was assigned, JSON.
    assignment TEXT NOT NULL,
    state      TEXT NOT NULL,
    -- Attempts that came to nothing.
    attempts   INTEGER NOT NULL DEFAULT 0,
    -- Daemons that ended while it was worked on.
    cuts       INTEGER NOT NULL DEFAULT 0,
    -- Who has it, or had it last.
    listener   TEXT,
    -- Session of it, named before it begins: a next daemon goes on with that one.
    session    TEXT,
    -- Worktree of an earlier session.
    worktree   TEXT,
    reason     TEXT,
    not_before INTEGER NOT NULL DEFAULT 0,
    -- JSON.
    outcome    TEXT,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
);
CREATE INDEX tasks_open ON tasks (queue, place) WHERE state IN ('assigned', 'running');
CREATE INDEX tasks_by_state ON tasks (state, place);
CREATE INDEX tasks_by_session ON tasks (session) WHERE session IS NOT NULL;
