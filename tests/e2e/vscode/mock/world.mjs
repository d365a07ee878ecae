// The state: claims, sessions and the event log in one file; worktrees are git's own.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync, watch, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

const home = process.env.PODIUM_HOME;
if (!home) {
  throw new Error("PODIUM_HOME is not set");
}
mkdirSync(home, { recursive: true });
const file = path.join(home, "mock.json");

export const me = process.env.PODIUM_AGENT_ID || `person:${os.userInfo().username}@${os.hostname()}`;

export function load() {
  return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : { token: 0, claims: {}, sessions: {}, events: [], questions: [] };
}

/** Reads, changes and writes the state; `events` are appended to the log. */
export function change(alter) {
  const state = load();
  const result = alter(state, (type, data) => {
    const seq = state.events.length + 1;
    const time = new Date().toISOString();
    state.events.push({ specversion: "1.0", seq, id: `event-${seq}`, source: "podium://mock", type, time, dataVersion: 1, data });
  });
  const next = `${file}.${process.pid}`;
  writeFileSync(next, JSON.stringify(state));
  renameSync(next, file);
  return result;
}

export function onChange(tell) {
  return watch(home, (_, name) => name === path.basename(file) && tell());
}

export class Refused extends Error {
  constructor(kind, message, extra = {}) {
    super(message);
    this.wire = { kind, message, hints: [], ...extra };
  }
}

function git(folder, ...words) {
  return execFileSync("git", ["-C", folder, "--no-optional-locks", ...words], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
}

function repoRoot(folder) {
  try {
    const common = git(folder, "rev-parse", "--path-format=absolute", "--git-common-dir").trim();
    return path.dirname(common);
  } catch {
    throw new Refused("user", `${folder} is in no git repository`, { hints: ["open a folder of a repository"] });
  }
}

export function worktrees(folder) {
  const root = repoRoot(folder);
  const { claims } = load();
  return git(root, "worktree", "list", "--porcelain")
    .split("\n\n")
    .filter((block) => block.trim() !== "")
    .filter((block) => !block.startsWith(`worktree ${home}/`))
    .map((block) => worktree(root, Object.fromEntries(block.split("\n").map((line) => line.split(/ (.*)/s))), claims));
}

function worktree(root, { worktree: at, branch }, claims) {
  const trunk = at === root;
  const short = branch?.replace("refs/heads/", "") ?? null;
  const name = trunk ? `trunk-${short}` : path.basename(at);
  const [id, time, summary] = git(at, "log", "-1", "--format=%H%n%cI%n%s").split("\n");
  return {
    id: `worktree-${name}`,
    repo: { id: "repo-1", root },
    name,
    path: at,
    branch: short,
    type: trunk ? "trunk" : name.split("-")[0],
    trunk,
    pr: null,
    claim: claims[name] ? { ...claims[name], alive: lives(claims[name]) } : null,
    status: status(at, root),
    lastCommit: { id, time, summary },
    conflictsWith: [],
    state: "ready",
  };
}

function lives({ pid }) {
  try {
    return pid === null || process.kill(pid, 0);
  } catch {
    return false;
  }
}

function status(at, root) {
  const counts = { staged: 0, modified: 0, untracked: 0, conflicted: 0 };
  for (const line of git(at, "status", "--porcelain").split("\n").filter(Boolean)) {
    if (line.startsWith("??")) counts.untracked += 1;
    else if (line[1] !== " ") counts.modified += 1;
    else counts.staged += 1;
  }
  const trunk = git(root, "rev-parse", "HEAD").trim();
  const [behind, ahead] = git(at, "rev-list", "--left-right", "--count", `${trunk}...HEAD`).trim().split(/\s+/).map(Number);
  return { ...counts, ahead, behind };
}

export function createWorktree(folder, type, name, agentId) {
  const root = repoRoot(folder);
  const full = `${type}-${name}`;
  const known = worktrees(folder).find((one) => one.name === full);
  if (known === undefined) {
    git(root, "worktree", "add", "-b", full, path.join(`${root}.worktrees`, full));
    change((_, log) => log("worktree.created", { name: full }));
  }
  if (agentId) claim(full, agentId, false);
  return { worktree: worktrees(folder).find((one) => one.name === full), elapsedMs: 12.5, fromSpare: false, created: known === undefined, notes: [] };
}

export function removeWorktree({ name, path: at, repo, status: found }, force) {
  if (!force && found.modified + found.untracked > 0) {
    throw new Refused("conflict", `${name} has changes that no commit holds`, { hints: ["commit them first"] });
  }
  git(repo.root, "worktree", "move", "--force", at, path.join(home, name));
  change((state, log) => {
    delete state.claims[name];
    state.removed = { name, at, root: repo.root };
    log("worktree.removed", { name });
  });
  return { name, undo: `undo-${name}`, branchDeleted: true, undoUntil: new Date().toISOString() };
}

export function undoRemove(folder) {
  const { removed } = load();
  if (!removed) throw new Refused("not_found", "nothing was removed");
  git(removed.root, "worktree", "move", path.join(home, removed.name), removed.at);
  change((_, log) => log("worktree.created", { name: removed.name }));
  return { undo: `undo-${removed.name}`, worktree: worktrees(folder).find((one) => one.name === removed.name) };
}

export function claim(name, agentId, force, pid) {
  return change((state, log) => {
    const held = state.claims[name];
    if (held && held.agentId !== agentId && lives(held) && !force) {
      const { token: _, ...owner } = held;
      throw new Refused("conflict", `${name} is held by ${held.agentId}`, { owner, hints: [`ask ${held.agentId} to release it`] });
    }
    state.token += 1;
    state.claims[name] = { agentId, host: os.hostname(), pid: pid ? Number(pid) : null, since: new Date().toISOString(), token: state.token, alive: true };
    log("worktree.claimed", { name, agentId });
    return { worktree: name, agentId, token: state.token, since: state.claims[name].since, path: "", already: held?.agentId === agentId };
  });
}

export function release(name) {
  return change((state, log) => {
    const held = state.claims[name];
    if (!held) throw new Refused("conflict", `${name} is not claimed`);
    delete state.claims[name];
    log("worktree.released", { name });
    return { worktree: name, agentId: held.agentId, token: held.token, releasedAt: new Date().toISOString() };
  });
}
