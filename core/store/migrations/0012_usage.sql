-- What sessions used, by the day it was used on (UTC, YYYY-MM-DD). Stays when a session is gone.
CREATE TABLE usage (
    day           TEXT NOT NULL,
    session       TEXT NOT NULL,
    provider      TEXT NOT NULL,
    model         TEXT,
    worktree      TEXT,
    worktree_name TEXT,
    input_tokens  INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    -- As far as prices are known; and with the dearest price for what is not, which is what budgets go by.
    cost_usd      REAL NOT NULL,
    reckoned_usd  REAL NOT NULL,
    PRIMARY KEY (day, session)
) WITHOUT ROWID;
CREATE INDEX usage_by_session ON usage (session);
CREATE INDEX usage_by_worktree ON usage (worktree) WHERE worktree IS NOT NULL;

-- What was used before there were days: it counts for the day of a session's last change.
INSERT INTO usage
SELECT strftime('%Y-%m-%d', updated_at / 1000, 'unixepoch'), id, provider, model, worktree, worktree_name,
       input_tokens, output_tokens, cost_usd, cost_usd
FROM sessions WHERE input_tokens + output_tokens > 0;
