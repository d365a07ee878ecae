// The few command lines that the driver runs beside the editor.
import { change, claim, createWorktree, load, me, Refused, release, worktrees } from "./world.mjs";

export function commandLine(words) {
  const option = (name) => (words.includes(name) ? words[words.indexOf(name) + 1] : undefined);
  const [program, verb, subject, id] = words;
  const agent = option("--agent-id") ?? me;
  const at = process.cwd();
  const table = {
    "imi feat": () => createWorktree(at, "feat", subject, option("--agent-id")),
    "imi list": () => ({ worktrees: worktrees(at) }),
    "imi claim": () => claim(subject, agent, words.includes("--force"), option("--pid")),
    "imi release": () => release(subject),
    // Only here: a question of an agent.
    "imi ask": () => change((state, log) => {
      const item = { id: `question-${state.questions.length + 1}`, agentId: agent, session: null, question: subject, askedAt: new Date().toISOString(), decision: null, answeredAt: null };
      state.questions.push(item);
      log("inbox.asked", { id: item.id });
      return item;
    }),
    "jelmore sessions": () => {
      const session = load().sessions[id];
      if (subject !== "show" || !session) throw new Refused("not_found", `no session ${id}`);
      return session;
    },
  };
  try {
    const run = table[`${program} ${verb}`];
    if (run === undefined) throw new Refused("user", `this stand-in has no ${program} ${verb}`);
    return { success: true, data: run() };
  } catch (error) {
    return { success: false, error: error.wire ?? { kind: "internal", message: String(error), hints: [] } };
  }
}
