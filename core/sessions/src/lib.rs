//! AI sessions: transcripts, checkpoints, providers (Jelmore).
