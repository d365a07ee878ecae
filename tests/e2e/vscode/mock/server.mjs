// The language server's side of the extension's conversation.
import { fileURLToPath } from "node:url";
import { changes, revert } from "./agent.mjs";
import { attach, cancel, goOn, listSessions, resume, searchSessions, start } from "./sessions.mjs";
import { connect } from "./wire.mjs";
import { change, claim, createWorktree, load, me, onChange, Refused, release, removeWorktree, undoRemove, worktrees } from "./world.mjs";

const COMMANDS = ["podium.session.start", "podium.session.resume", "podium.worktree.switch", "podium.status"];

export function serve() {
  const subscriptions = new Map();
  let nextSubscription = 1;
  let focus;
  let podium = false;
  let shownStatus = "";

  const folderOf = ({ repo, uri }) => repo ?? (uri ? fileURLToPath(uri) : process.cwd());
  const at = (params) => {
    const folder = folderOf(params);
    return worktrees(dirOf(folder)).filter((one) => folder === one.path || folder.startsWith(`${one.path}/`)).sort((a, b) => b.path.length - a.path.length)[0];
  };
  const named = (params, name) => worktrees(dirOf(folderOf(params))).find((one) => one.name === name) ?? at(params);

  const statusLine = (uri) => {
    const off = { state: "off", text: "Podium: no repository", worktree: null, agentId: null, since: null, sessions: 0 };
    if (!uri) return off;
    try {
      const { name, claim: held } = at({ uri });
      const state = held === null ? "free" : held.agentId === me ? "mine" : held.alive === false ? "dead" : "other";
      const sessions = Object.values(load().sessions).filter((one) => one.status === "in_progress" && one.worktree === name).length;
      return { state, text: `${name}: ${state}`, worktree: name, agentId: held?.agentId ?? null, since: held?.since ?? null, sessions };
    } catch {
      return off;
    }
  };

  const pump = () => {
    const state = load();
    for (const [subscription, one] of subscriptions) {
      if (one.kind === "events") {
        for (const event of state.events.filter((event) => event.seq > one.seq)) {
          one.seq = event.seq;
          wire.notify("podium/event", { subscription, event });
        }
      } else {
        attach.pump(one, (update) => wire.notify("podium/session/update", { subscription, ...update }), state);
        if (one.ended) subscriptions.delete(subscription);
      }
    }
    const line = statusLine(focus);
    if (podium && focus && JSON.stringify(line) !== shownStatus) {
      shownStatus = JSON.stringify(line);
      wire.notify("podium/status", line);
    }
  };

  const subscribe = (one) => {
    const subscription = nextSubscription++;
    setImmediate(() => {
      subscriptions.set(subscription, one);
      pump();
    });
    return subscription;
  };

  const methods = {
    initialize: ({ capabilities }) => {
      podium = capabilities.experimental?.podium === true;
      return {
        capabilities: { textDocumentSync: 1, codeActionProvider: true, executeCommandProvider: { commands: COMMANDS } },
        serverInfo: { name: "podium-mock" },
      };
    },
    shutdown: () => null,
    "podium/statusLine": ({ uri }) => statusLine(uri ?? focus),
    "podium/events/subscribe": ({ fromSeq }) => {
      const headSeq = load().events.length;
      return { subscription: subscribe({ kind: "events", seq: fromSeq ?? headSeq }), headSeq, oldestSeq: 1, missed: false };
    },
    "podium/unsubscribe": ({ subscription }) => ({ existed: subscriptions.delete(subscription) }),
    "podium/worktree/list": (params) => ({ worktrees: worktrees(dirOf(folderOf(params))) }),
    "podium/worktree/create": (params) => createWorktree(dirOf(folderOf(params)), params.type, params.name, params.agentId),
    "podium/worktree/switch": (params) => ({ worktree: named(params, params.name) }),
    "podium/worktree/remove": (params) => removeWorktree(named(params, params.name), params.force),
    "podium/worktree/undo": (params) => undoRemove(dirOf(folderOf(params)), params.id),
    "podium/claim/acquire": (params) => claim(named(params, params.worktree).name, params.agentId ?? me, params.force),
    "podium/claim/release": (params) => release(named(params, params.worktree).name),
    "podium/session/list": () => ({ sessions: listSessions() }),
    "podium/session/search": ({ query }) => ({ sessions: searchSessions(query) }),
    "podium/session/show": ({ id, fromSeq = 0 }) => {
      const session = load().sessions[id];
      if (!session) throw new Refused("not_found", `no session ${id}`);
      return { ...session, items: session.items.filter((item) => item.seq > fromSeq), more: false };
    },
    "podium/session/diff": ({ id }) => changes(id),
    "podium/session/revert": (params) => revert(params),
    "podium/session/start": (params) => start(params),
    "podium/session/resume": (params) => resume(params),
    "podium/session/cancel": ({ id }) => cancel(id),
    "podium/session/attach": ({ id, fromSeq = 0 }) => {
      const { items: _, ...session } = load().sessions[id];
      return { subscription: subscribe({ kind: "session", id, seq: fromSeq }), session };
    },
    "podium/provider/list": () => ({
      providers: [
        { name: "local", usable: true, why: "SmolLM2-135M-Instruct is here and works without a network", models: ["SmolLM2-135M-Instruct"] },
        { name: "anthropic", usable: true, why: "an agent that changes poem.txt and asks", models: [] },
      ],
    }),
    "podium/artifact/list": () => ({ artifacts: [artifact()] }),
    "podium/artifact/search": ({ query }) => {
      const { text, ...one } = artifact();
      return { hits: text.includes(query) ? [{ ...one, score: 1.5, snippet: text.slice(0, 120) }] : [] };
    },
    "podium/artifact/get": () => ({ ...artifact(), path: "/nowhere" }),
    "podium/inbox/list": () => ({ items: load().questions.filter((item) => item.decision === null) }),
    "podium/inbox/answer": ({ id, decision }) => change((state, log) => {
      const item = state.questions.find((one) => one.id === id);
      item.decision = decision;
      log("inbox.answered", { id });
      return { item };
    }),
    "podium/doctor": () => ({ parts: [{ name: "store", state: "ok", message: "12 KiB", hint: "" }] }),
    "textDocument/codeAction": ({ textDocument, range }) =>
      range.start.line === range.end.line && range.start.character === range.end.character
        ? []
        : [
            {
              title: "Podium: explain this",
              kind: "refactor",
              command: {
                title: "Explain",
                command: "podium.session.start",
                arguments: [{ prompt: "Explain this", context: { uri: textDocument.uri, range }, uri: textDocument.uri }],
              },
            },
          ],
    "workspace/executeCommand": ({ command, arguments: [params = {}] = [] }) =>
      command === "podium.status" ? {} : methods[command.replaceAll(".", "/")](params),
  };

  const wire = connect(process.stdin, process.stdout, ({ id, method, params }) => {
    if (method === "exit") process.exit(0);
    if (method === "podium/didFocus") {
      focus = params.uri;
      pump();
    }
    if (id === undefined || method === undefined) return;
    try {
      const run = methods[method];
      if (run === undefined) throw new Refused("user", `unknown method ${method}`);
      wire.answer(id, run(params));
    } catch (error) {
      wire.fail(id, error.wire ?? { kind: "internal", message: String(error), hints: [] });
    }
  });
  onChange(pump);
  goOn();
  // The real daemon is told when an owner ends; here somebody has to look.
  setInterval(pump, 300);
}

function dirOf(folder) {
  return folder.replace(/\/[^/]*\.[^/]*$/, "");
}

function artifact() {
  const text = "# Greeting\n\nA greeting says hello, and who says it.\n";
  return {
    id: "0192aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee", hash: "00", title: "What a greeting is", kind: "docs", mediaType: "text/markdown",
    bytes: text.length, session: null, worktree: "feat-demo", createdAt: "2026-01-05T10:00:00Z", text,
  };
}
