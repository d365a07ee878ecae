//! Worktrees and claims (iMi).
