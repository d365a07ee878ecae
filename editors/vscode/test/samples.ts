/** Wire objects as the server sends them, for tests to vary. */

import type { ClaimInfo, InboxItem, SessionInfo, SessionItem, StatusLine, Worktree } from "../src/protocol";

export const now = new Date(2026, 10, 21, 15, 0);
export const ME = "person:ada@lab";
export const own = new Set([ME]);

export function claim(change: Partial<ClaimInfo> = {}): ClaimInfo {
  const since = new Date(2026, 10, 21, 14, 2).toISOString();
  return { agentId: "claude-1", host: "lab", pid: 4711, since, token: 7, alive: true, ...change };
}

export function worktree(change: Partial<Worktree> = {}): Worktree {
  return {
    id: "w1",
    repo: { id: "r1", root: "/code/app" },
    name: "feat-x",
    path: "/code/app.worktrees/feat-x",
    branch: "feat-x",
    type: "feat",
    trunk: false,
    pr: null,
    claim: null,
    status: { staged: 0, modified: 0, untracked: 0, conflicted: 0, ahead: 0, behind: 0 },
    lastCommit: null,
    conflictsWith: [],
    state: "ready",
    ...change,
  };
}

export function line(change: Partial<StatusLine> = {}): StatusLine {
  return { state: "free", text: "", worktree: "feat-x", agentId: null, since: null, sessions: 0, ...change };
}

export function session(change: Partial<SessionInfo> = {}): SessionInfo {
  return {
    id: "0192f0c4-0000-7000-8000-000000000001",
    provider: "local",
    model: "SmolLM2",
    status: "in_progress",
    title: "Explain greet",
    agentId: null,
    worktree: "feat-x",
    worktreePath: null,
    createdAt: now.toISOString(),
    updatedAt: now.toISOString(),
    checkpoint: null,
    lastSeq: 0,
    usage: { inputTokens: 0, outputTokens: 0, costUsd: 0 },
    ...change,
  };
}

export function item(seq: number, kind: SessionItem["kind"], text: string): SessionItem {
  return { seq, kind, text, time: now.toISOString() };
}

export function question(change: Partial<InboxItem> = {}): InboxItem {
  return {
    id: "q1",
    agentId: "claude-1",
    session: null,
    question: "May I run `make`?",
    askedAt: now.toISOString(),
    decision: null,
    answeredAt: null,
    ...change,
  };
}
