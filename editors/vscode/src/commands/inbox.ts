/** Answers what agents ask. Nothing pops up: a person comes here when they have the time. */

import * as vscode from "vscode";
import type { InboxDecision, InboxItem } from "../protocol";
import { clock } from "../text/time";
import type { CommandContext, CommandTable } from "./context";

export function inboxCommands(context: CommandContext): CommandTable {
  return {
    "podium.ui.inbox.answer": (argument) => choose(context, argument),
    "podium.ui.inbox.allow": (argument) => direct(context, argument, "allow"),
    "podium.ui.inbox.deny": (argument) => direct(context, argument, "deny"),
  };
}

async function choose(context: CommandContext, argument: unknown): Promise<void> {
  const item = questionArgument(argument) ?? (await pickQuestion(context));
  if (item === undefined) {
    return;
  }
  const entries: (vscode.QuickPickItem & { decision?: InboxDecision })[] = [
    { label: "$(check) Allow", decision: "allow" },
    { label: "$(close) Deny", decision: "deny" },
  ];
  if (item.session) {
    entries.push({ label: "$(go-to-file) Open the session first" });
  }
  const chosen = await vscode.window.showQuickPick(entries, { title: `${item.agentId} asks`, placeHolder: item.question });
  if (chosen?.decision !== undefined) {
    await answer(context, item, chosen.decision);
  } else if (chosen !== undefined && item.session) {
    await context.sessions.show(item.session, false);
  }
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
  return (await vscode.window.showQuickPick(items, { title: "Questions", placeHolder: "Which one?", matchOnDescription: true }))?.item;
}

async function direct(context: CommandContext, argument: unknown, decision: InboxDecision): Promise<void> {
  const item = questionArgument(argument);
  if (item !== undefined) {
    await answer(context, item, decision);
  }
}

async function answer(context: CommandContext, item: InboxItem, decision: InboxDecision): Promise<void> {
  await context.server.act("podium/inbox/answer", { id: item.id, decision });
  context.live.refresh("inbox");
}

function questionArgument(argument: unknown): InboxItem | undefined {
  const known = typeof argument === "object" && argument !== null && "item" in argument && typeof argument.item === "object";
  return known ? (argument.item as InboxItem) : undefined;
}
