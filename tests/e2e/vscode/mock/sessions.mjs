// Sessions whose provider speaks a canned text, a few letters at a time.
import { randomUUID } from "node:crypto";
import { begin } from "./agent.mjs";
import { change, load } from "./world.mjs";

const EVERY_MS = 40;
const ANSWER = `A greeting is a *small ceremony*: it says that somebody is there, and that the other one was seen.

In this file it is one line of text. To change what it says:

1. claim the worktree, so that nobody else edits it meanwhile;
2. edit the line;
3. run the tests, commit, and release.

\`\`\`rust
fn greet(name: &str) -> String {
    format!("Hello, {name}!")
}
\`\`\`

That is all there is to it. ${"The rest of this answer is here to be long enough to scroll. ".repeat(12)}

${Array.from({ length: 24 }, (_, line) => `- point ${line + 1}: keep it short`).join("\n")}
`;

export function listSessions() {
  return Object.values(load().sessions)
    .map(({ items: _, ...session }) => session)
    .reverse();
}

/** Sessions with an item that holds the words, and that item. */
export function searchSessions(query) {
  return listSessions().flatMap((session) => {
    const matches = load().sessions[session.id].items.filter(({ text }) => text.toLowerCase().includes(query.toLowerCase()));
    return matches.length === 0 ? [] : [{ ...session, matches: matches.slice(0, 3).map(({ seq, kind, text }) => ({ seq, kind, snippet: text })) }];
  });
}

export function start({ prompt, provider, worktree, agentId, repo }) {
  const id = randomUUID();
  const now = new Date().toISOString();
  change((state, log) => {
    state.sessions[id] = {
      id, provider: provider ?? "local", model: "SmolLM2-135M-Instruct", status: "in_progress", title: prompt.split("\n")[0].slice(0, 80),
      agentId: agentId ?? null, worktree: worktree ?? null, worktreePath: null, createdAt: now, updatedAt: now, checkpoint: null, lastSeq: 0,
      usage: { inputTokens: 0, outputTokens: 0, costUsd: 0 }, items: [],
    };
    add(state.sessions[id], "prompt", prompt);
    log("session.started", { id });
  });
  if (provider === "anthropic") begin(id, repo, add, finish);
  else speak(id);
  return started(id);
}

export function resume({ id, prompt }) {
  change((state, log) => {
    const session = state.sessions[id];
    session.status = "in_progress";
    if (prompt) add(session, "prompt", prompt);
    log("session.started", { id });
  });
  speak(id);
  return started(id);
}

export function cancel(id) {
  finish(id, "cancelled");
  return { id, status: "cancelled" };
}

function started(id) {
  const { provider, model, worktree, status, lastSeq } = load().sessions[id];
  return { id, provider, model, worktree, status, lastSeq };
}

function add(session, kind, text, data, final) {
  session.lastSeq += 1;
  const item = { seq: session.lastSeq, kind, text, time: new Date().toISOString() };
  session.items.push({ ...item, ...(data ? { data } : {}), ...(final ? { final } : {}) });
}

/** Goes on with what an earlier process was saying when it died. */
export function goOn() {
  for (const { id, status } of Object.values(load().sessions)) {
    if (status === "in_progress") speak(id);
  }
}

function speak(id) {
  if (load().sessions[id].diff) {
    change((state) => add(state.sessions[id], "text", "You are welcome.", undefined, true));
    finish(id, "completed");
    return;
  }
  const said = load().sessions[id].items.filter((item) => item.kind === "text").length;
  const pieces = ANSWER.match(/\s*\S+|\s+$/g).slice(said);
  const timer = setInterval(() => {
    const more = change((state) => {
      const session = state.sessions[id];
      if (session.status !== "in_progress") return false;
      const piece = pieces.shift();
      if (piece !== undefined) add(session, "text", piece, undefined, pieces.length === 0);
      if (session.lastSeq % 20 === 0) add(session, "checkpoint", "", { id: randomUUID() });
      return pieces.length > 0;
    });
    if (!more) {
      clearInterval(timer);
      if (load().sessions[id].status === "in_progress") finish(id, "completed");
    }
  }, EVERY_MS);
}

function finish(id, status, usage) {
  change((state, log) => {
    const session = state.sessions[id];
    session.status = status;
    session.updatedAt = new Date().toISOString();
    session.usage = usage ?? { inputTokens: 21, outputTokens: session.lastSeq, costUsd: 0 };
    log("session.ended", { id, status });
  });
}

export const attach = {
  /** Sends what a stream has not yet sent. */
  pump(stream, send, state) {
    const session = state.sessions[stream.id];
    const items = session.items.filter((item) => item.seq > stream.seq);
    if (items.length > 0) {
      stream.seq = items.at(-1).seq;
      send({ id: stream.id, items });
    }
    if (session.status !== "in_progress" && !stream.ended) {
      stream.ended = true;
      send({ id: stream.id, items: [], end: { status: session.status, usage: session.usage, filesChanged: [] } });
    }
  },
};
