/** Find past sessions; go back in one, or go another way from there. */

import * as vscode from "vscode";
import type { Checkpoint, SessionHit, SessionInfo } from "../protocol";
import { checkpointWords, sessionRow } from "../text/session";
import { shortened } from "../text/markdown";
import { clock } from "../text/time";
import type { CommandContext, CommandTable } from "./context";
import { follow, inFront, pickSession, sessionArgument } from "./sessions";

/** Typing pauses this long before the server is asked. */
const TYPING_MS = 200;
const FOUND = 50;

export function historyCommands(context: CommandContext): CommandTable {
  return {
    "podium.ui.session.search": () => search(context),
    "podium.ui.session.fork": (argument) => fork(context, argument),
    "podium.ui.session.rewind": (argument) => rewind(context, argument),
    "podium.ui.session.text": (argument) => asText(context, argument),
  };
}

type Found = vscode.QuickPickItem & { id: string };

/** Asks the server while the person types; what is chosen is opened. */
async function search(context: CommandContext): Promise<void> {
  const pick = vscode.window.createQuickPick<Found>();
  pick.placeholder = "Words of a prompt, an answer or a tool call";
  pick.title = "Search Sessions";
  pick.ignoreFocusOut = true;
  // Snippets hold the words, titles need not.
  pick.matchOnDetail = true;
  let timer: NodeJS.Timeout | undefined;
  let round = 0;
  const ask = async (query: string): Promise<void> => {
    round += 1;
    const mine = round;
    pick.busy = true;
    try {
      const found = await find(context, query.trim());
      if (mine === round) {
        pick.items = found;
      }
    } finally {
      pick.busy = mine !== round;
    }
  };
  const failed = (error: unknown): void => context.log.warn("searching sessions", error);
  pick.onDidChangeValue((query) => {
    clearTimeout(timer);
    timer = setTimeout(() => void ask(query).catch(failed), TYPING_MS);
  });
  const chosen = new Promise<Found | undefined>((done) => {
    pick.onDidAccept(() => done(pick.selectedItems[0]));
    pick.onDidHide(() => done(undefined));
  });
  pick.show();
  void ask("").catch(failed);
  const found = await chosen;
  clearTimeout(timer);
  pick.dispose();
  if (found !== undefined) {
    await context.panels.show(found.id, false);
  }
}

async function find(context: CommandContext, query: string): Promise<Found[]> {
  if (query === "") {
    const { sessions } = await context.server.act("podium/session/list", { limit: FOUND });
    return sessions.map((session) => item(session));
  }
  const { sessions } = await context.server.act("podium/session/search", { query, limit: FOUND });
  return sessions.map((hit) => item(hit, hit));
}

function item(session: SessionInfo, hit?: SessionHit): Found {
  const row = sessionRow(session, new Date());
  const snippet = hit?.matches[0]?.snippet;
  return {
    label: row.label,
    description: row.description,
    iconPath: new vscode.ThemeIcon(row.icon),
    // The server has chosen; the picker's own filter must not take anything away.
    alwaysShow: true,
    id: session.id,
    ...(snippet === undefined ? {} : { detail: shortened(snippet, 160) }),
  };
}

async function fork(context: CommandContext, argument: unknown): Promise<void> {
  const session = await meant(context, argument, "Fork which session?");
  if (session === undefined) {
    return;
  }
  const given = checkpointArgument(argument);
  const places = [
    { label: "$(git-branch) In a worktree of its own", detail: "with the files of the place it begins from", apart: true },
    { label: "$(files) In the same worktree", detail: "files stay as they are", apart: false },
  ];
  const options = { ignoreFocusOut: true, title: `Fork “${shortened(session.title, 40)}”`, placeHolder: "Where?" };
  const place = await vscode.window.showQuickPick(places, options);
  if (place === undefined) {
    return;
  }
  const name = `fork-${new Date().toISOString().replace(/\D/g, "").slice(4, 14)}`;
  const at = given === undefined ? {} : { at: given };
  const forked = await context.server.act("podium/session/fork", { id: session.id, ...at, ...(place.apart ? { worktree: name } : {}) });
  tellNotes(forked.notes);
  context.live.refresh("worktrees");
  await follow(context, forked);
}

async function rewind(context: CommandContext, argument: unknown): Promise<void> {
  const session = await meant(context, argument, "Rewind which session?");
  if (session === undefined) {
    return;
  }
  const to = checkpointArgument(argument) ?? (await pickCheckpoint(context, session))?.id;
  if (to === undefined) {
    return;
  }
  const detail =
    "The files of its worktree and the conversation go back to how they were. What is there now is kept in a checkpoint.";
  const sure = await vscode.window.showWarningMessage(`Rewind “${shortened(session.title, 40)}”?`, { modal: true, detail }, "Rewind");
  if (sure === undefined) {
    return;
  }
  const done = await context.server.act("podium/session/rewind", { id: session.id, to });
  const count = done.filesChanged.length;
  void vscode.window.showInformationMessage(`Rewound; ${count === 1 ? "1 file was" : `${count} files were`} brought back.`);
  tellNotes([...(done.kept ?? []).map((path) => `${path} was left as it is`), ...(done.notes ?? [])]);
  context.live.refresh("sessions");
  await context.sessions.refresh(session.id);
}

async function pickCheckpoint(context: CommandContext, session: SessionInfo): Promise<Checkpoint | undefined> {
  const { checkpoints } = await context.server.act("podium/session/checkpoints", { id: session.id });
  if (checkpoints.length === 0) {
    throw new Error("This session has no checkpoint to go back to");
  }
  const now = new Date();
  const items = [...checkpoints].reverse().map((checkpoint) => ({
    label: checkpointWords(checkpoint),
    description: clock(checkpoint.createdAt, now),
    detail: shortened(checkpoint.title, 100),
    checkpoint,
  }));
  const options = { ignoreFocusOut: true, title: "Rewind", placeHolder: "To where?", matchOnDetail: true };
  return (await vscode.window.showQuickPick(items, options))?.checkpoint;
}

async function asText(context: CommandContext, argument: unknown): Promise<void> {
  const session = await meant(context, argument, "Which session as text?");
  if (session !== undefined) {
    await context.sessionTexts.show(session.id);
  }
}

async function meant(context: CommandContext, argument: unknown, placeHolder: string): Promise<SessionInfo | undefined> {
  return sessionArgument(argument) ?? inFront(context) ?? pickSession(context, placeHolder);
}

function checkpointArgument(argument: unknown): string | undefined {
  const known = typeof argument === "object" && argument !== null && "checkpoint" in argument;
  return known && typeof argument.checkpoint === "string" ? argument.checkpoint : undefined;
}

function tellNotes(notes: readonly string[] | undefined): void {
  if (notes !== undefined && notes.length > 0) {
    void vscode.window.showWarningMessage(notes.join("; "));
  }
}
