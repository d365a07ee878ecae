// An agent that changes two lines of a file and asks before it runs a command; what it changed can be taken back.
import { randomUUID } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { change, load } from "./world.mjs";

const CHANGES = { 2: "zwei", 19: "neunzehn" };
const SAID = "I change **two** lines.\n\n<script>owned = true</script><img src=x onerror=owned=true>\n";

/** Begins what the agent does in a worktree; `add` appends an item, `finish` ends the session. */
export function begin(id, place, add, finish) {
  const file = readdirSync(place).find((name) => name === "poem.txt");
  const lines = readFileSync(path.join(place, file), "utf8").split("\n");
  writeFileSync(path.join(place, file), lines.map((line, at) => CHANGES[at + 1] ?? line).join("\n"));
  const question = { id: randomUUID(), agentId: "mock", session: id, question: "run `true`", askedAt: new Date().toISOString(),
    decision: null, answeredAt: null, tool: "run_command", detail: "true", options: ["once", "session", "project"] };
  change((state, log) => {
    const session = state.sessions[id];
    add(session, "text", SAID);
    add(session, "tool_call", "edit_file", { id: "t1", name: "edit_file", input: { path: file, edits: Object.values(CHANGES) } });
    add(session, "tool_result", `changed ${file}`, { id: "t1", isError: false });
    add(session, "tool_call", "run_command", { id: "t2", name: "run_command", input: { command: "true" } });
    session.worktreePath = place;
    session.diff = { file, before: lines, taken: [] };
    state.questions.push(question);
    log("inbox.asked", { id: question.id, question: question.question, agentId: "mock" });
  });
  const timer = setInterval(() => {
    const { decision } = load().questions.find((one) => one.id === question.id);
    if (decision === null) return;
    clearInterval(timer);
    change((state) => {
      const session = state.sessions[id];
      add(session, "permission", `${decision}: run_command`);
      add(session, "tool_result", "exit 0", { id: "t2", isError: decision !== "allow" });
      add(session, "text", "Done.", undefined, true);
    });
    finish(id, "completed", { inputTokens: 300, outputTokens: 60, costUsd: 0.0123 });
  }, 100);
}

/** The file's diff as it stands. */
function diff({ file, before, taken }) {
  const hunks = Object.entries(CHANGES).map(([number, text], at) => {
    const line = Number(number);
    const around = (from, to) => before.slice(Math.max(0, from - 1), to).map((one) => ` ${one}`);
    const lines = [...around(line - 1, line - 1), `-${before[line - 1]}`, `+${text}`, ...around(line + 1, line + 1)];
    return { oldStart: line - 1, oldLines: 3, newStart: line - 1, newLines: 3, lines, state: taken.includes(at) ? "gone" : "there" };
  });
  return { path: file, status: "modified", binary: false, hunks };
}

export function changes(id) {
  const session = load().sessions[id];
  return { id, from: "a", to: "b", files: session.diff ? [diff(session.diff)] : [], truncated: false };
}

export function revert({ id, hunks }) {
  return change((state) => {
    const session = state.sessions[id];
    const { file, before, taken } = session.diff;
    const at = path.join(session.worktreePath, file);
    const lines = readFileSync(at, "utf8").split("\n");
    for (const hunk of hunks ?? [0, 1]) {
      const line = Number(Object.keys(CHANGES)[hunk]);
      lines[line - 1] = before[line - 1];
      taken.push(hunk);
    }
    writeFileSync(at, lines.join("\n"));
    return { id, filesChanged: [file], file: diff(session.diff) };
  });
}
