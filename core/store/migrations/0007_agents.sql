-- How far the text of a session's newest turn was when its provider's state was stored. JSON.
ALTER TABLE sessions ADD COLUMN state_mark TEXT;
