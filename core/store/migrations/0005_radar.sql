-- Conflicts that were told last: derived, kept so that a restart tells none of them twice.
CREATE TABLE conflicts (
    repo TEXT NOT NULL REFERENCES repos (id) ON DELETE CASCADE,
    -- Ids of the worktrees; the second is empty for trunk.
    a    TEXT NOT NULL,
    b    TEXT NOT NULL,
    -- The pair as clients see it, without owners.
    pair TEXT NOT NULL,
    PRIMARY KEY (repo, a, b)
) WITHOUT ROWID;
