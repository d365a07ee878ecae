-- Whether a part of what was used has no known price: then the cost is a part only, and is told as unknown.
ALTER TABLE sessions ADD COLUMN unpriced INTEGER NOT NULL DEFAULT 0;
ALTER TABLE checkpoints ADD COLUMN unpriced INTEGER NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN unpriced INTEGER NOT NULL DEFAULT 0;
-- What counted as the dearest was not known.
UPDATE usage SET unpriced = 1 WHERE reckoned_usd > cost_usd + 1e-9;
UPDATE sessions SET unpriced = 1 WHERE id IN (SELECT session FROM usage WHERE unpriced);
UPDATE checkpoints SET unpriced = 1 WHERE session IN (SELECT session FROM usage WHERE unpriced);

-- Tokens of the newest question with its answer, and of the model's window.
ALTER TABLE sessions ADD COLUMN context_used INTEGER;
ALTER TABLE sessions ADD COLUMN context_window INTEGER;
-- What confines the session's programs since its newest turn.
ALTER TABLE sessions ADD COLUMN confinement TEXT;
