-- Repositories on their way into a project folder, or out of it.
-- `kind`: convert, revert, clone. `state`: intent; of a conversion then done, undone.
CREATE TABLE layouts (
    id         TEXT PRIMARY KEY,
    -- NULL for a clone, which is no repository yet.
    repo       TEXT REFERENCES repos (id) ON DELETE CASCADE,
    kind       TEXT NOT NULL,
    state      TEXT NOT NULL,
    -- Folder of the main worktree before and after; of a clone, the project folder twice.
    old_root   BLOB NOT NULL,
    new_root   BLOB NOT NULL,
    -- Where everything is put together before it takes its place. Nobody else's.
    staging    BLOB NOT NULL,
    changed_by TEXT NOT NULL,
    changed_at INTEGER NOT NULL
);
CREATE INDEX layouts_by_repo ON layouts (repo, changed_at);

-- Renames of a change under way, in their order.
CREATE TABLE layout_moves (
    layout TEXT NOT NULL REFERENCES layouts (id) ON DELETE CASCADE,
    n      INTEGER NOT NULL,
    source BLOB NOT NULL,
    target BLOB NOT NULL,
    -- Below the source: what lies there as long as it has not moved.
    proof  BLOB NOT NULL,
    PRIMARY KEY (layout, n)
) WITHOUT ROWID;
