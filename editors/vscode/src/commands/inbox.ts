/** Answers what agents ask. */

import * as vscode from "vscode";
import type { InboxDecision, InboxItem, InboxScope } from "../protocol";
import { inboxChoices } from "../text/inbox";
import { clock } from "../text/time";
import type { CommandContext, CommandTable } from "./context";

export function inboxCommands(context: CommandContext): CommandTable {
  return {
    "podium.ui.inbox.answer": (argument) => choose(context, argument),
    "podium.ui.inbox.allow": (argument) => direct(context, argument, "allow"),
    "podium.ui.inbox.deny": (argument) => direct(context, argument, "deny"),
  };
}

type Entry = vscode.QuickPickItem & { run: () => Thenable<unknown> };

async function choose(context: CommandContext, argument: unknown): Promise<void> {
  const item = questionArgument(argument) ?? (await pickQuestion(context));
  if (item === undefined) {
    return;
  }
  const entries: Entry[] = inboxChoices(item).map((choice) => ({
    label: `$(${choice.decision === "allow" ? "check" : "close"}) ${choice.label}`,
    run: () => answer(context, item, choice.decision, choice.scope),
  }));
  if (item.detail) {
    entries.push({ label: "$(eye) See what would be done first", run: () => showDetail(item) });
  }
  const { session } = item;
  if (session) {
    entries.push({ label: "$(go-to-file) Open the session first", run: () => context.panels.show(session, false) });
  }
  const options = { ignoreFocusOut: true, title: `${item.agentId} asks`, placeHolder: item.question };
  const chosen = await vscode.window.showQuickPick(entries, options);
  await chosen?.run();
}

async function pickQuestion(context: CommandContext): Promise<InboxItem | undefined> {
  await context.live.fresh("inbox");
  const { questions } = context.live;
  if (questions.length === 0) {
    void vscode.window.showInformationMessage("No agent asks anything.");
    return undefined;
  }
  const items = questions.map((item) => ({
    label: item.question,
    description: `${item.agentId} · ${clock(item.askedAt, new Date())}`,
    item,
  }));
  const options = { ignoreFocusOut: true, title: "Questions", placeHolder: "Which one?", matchOnDescription: true };
  return (await vscode.window.showQuickPick(items, options))?.item;
}

/** A question that just came, in the corner of the window: it takes no focus, and waits in the view as well. */
export async function notice(context: CommandContext, item: InboxItem): Promise<void> {
  const choices = inboxChoices(item).filter((choice) => choice.scope !== "project");
  const labels = [...choices.map(({ label }) => label), "More…"];
  const chosen = await vscode.window.showInformationMessage(`${item.agentId}: ${item.question}`, ...labels);
  // It may have been answered elsewhere while it was shown.
  await context.live.fresh("inbox");
  const open = context.live.questions.some((question) => question.id === item.id);
  if (chosen === undefined || !open) {
    return;
  }
  const choice = choices.find(({ label }) => label === chosen);
  await (choice === undefined ? choose(context, { item }) : answer(context, item, choice.decision, choice.scope));
}

async function direct(context: CommandContext, argument: unknown, decision: InboxDecision): Promise<void> {
  const item = questionArgument(argument);
  if (item !== undefined) {
    await answer(context, item, decision);
  }
}

async function answer(context: CommandContext, item: InboxItem, decision: InboxDecision, scope: InboxScope = "once"): Promise<void> {
  await context.server.act("podium/inbox/answer", { id: item.id, decision, scope });
  context.live.refresh("inbox");
}

/** The command, or the change, in a document of its own. */
async function showDetail(item: InboxItem): Promise<void> {
  const language = item.detail?.startsWith("--- ") ? "diff" : "shellscript";
  const document = await vscode.workspace.openTextDocument({ content: item.detail ?? "", language });
  await vscode.window.showTextDocument(document, { preview: true });
}

function questionArgument(argument: unknown): InboxItem | undefined {
  const known = typeof argument === "object" && argument !== null && "item" in argument && typeof argument.item === "object";
  return known ? (argument.item as InboxItem) : undefined;
}
