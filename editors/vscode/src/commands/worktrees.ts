/** Create, switch, open, remove and bring back worktrees. */

import * as vscode from "vscode";
import type { Worktree } from "../protocol";
import { wireError, errorText } from "../text/errors";
import { openedWords, requestNumber } from "../text/review";
import { agent, atWorktree, here, pickWorktree, repository, worktreeArgument, type CommandContext, type CommandTable } from "./context";
import { openWorktree, type Where } from "./openWorktree";

const TYPES: readonly { label: string; description: string }[] = [
  { label: "feat", description: "a feature" },
  { label: "fix", description: "a fault to mend" },
  { label: "aiops", description: "agents, prompts, tools of theirs" },
  { label: "devops", description: "build, delivery, infrastructure" },
];

export function worktreeCommands(context: CommandContext): CommandTable {
  return {
    "podium.ui.worktree.create": () => create(context),
    "podium.ui.worktree.review": (argument) => review(context, argument),
    "podium.ui.worktree.switch": (argument) => goTo(context, argument, "setting"),
    "podium.ui.worktree.openNewWindow": (argument) => goTo(context, argument, "new"),
    "podium.ui.worktree.remove": (argument) => remove(context, argument),
    "podium.ui.worktree.undo": (argument) => undo(context, argument),
  };
}

async function create(context: CommandContext): Promise<void> {
  const at = await repository(context);
  if (at === undefined) {
    return;
  }
  const type = await vscode.window.showQuickPick(TYPES, { title: "Create Worktree (1/2)", placeHolder: "What is it for?" });
  if (type === undefined) {
    return;
  }
  const name = await vscode.window.showInputBox({
    title: "Create Worktree (2/2)",
    prompt: `Name of the task; the worktree becomes ${type.label}-<name>`,
    placeHolder: "user-auth",
    ignoreFocusOut: true,
    validateInput: (value) => (value.trim() === "" ? "A worktree needs a name" : undefined),
  });
  if (name === undefined) {
    return;
  }
  const made = await context.server.act("podium/worktree/create", { ...at, ...agent(), type: type.label, name: name.trim() });
  context.live.refresh("worktrees");
  const verb = made.created ? "Created" : "Found";
  const message = [`${verb} ${made.worktree.name} in ${Math.round(made.elapsedMs)} ms.`, ...made.notes].join(" ");
  const choice = await vscode.window.showInformationMessage(message, "Open", "Open in New Window");
  if (choice !== undefined) {
    await openWorktree(context, made.worktree, choice === "Open" ? "same" : "new");
  }
}

async function review(context: CommandContext, argument: unknown): Promise<void> {
  const at = await repository(context);
  if (at === undefined) {
    return;
  }
  const given = typeof argument === "number" || typeof argument === "string" ? requestNumber(String(argument)) : undefined;
  const number = given ?? (await askForRequest());
  if (number === undefined) {
    return;
  }
  const opened = await context.server.act("podium/worktree/review", { ...at, ...agent(), number });
  context.live.refresh("worktrees");
  const choice = await vscode.window.showInformationMessage(openedWords(opened), "Open", "Open in New Window");
  if (choice !== undefined) {
    await openWorktree(context, opened.worktree, choice === "Open" ? "same" : "new");
  }
}

async function askForRequest(): Promise<number | undefined> {
  const text = await vscode.window.showInputBox({
    title: "Review Pull Request",
    prompt: "Number or address of the pull request or merge request; it opens in a worktree of its own",
    placeHolder: "123",
    ignoreFocusOut: true,
    validateInput: (value) => (requestNumber(value) === undefined ? "That is no number of a request" : undefined),
  });
  return text === undefined ? undefined : requestNumber(text);
}

async function goTo(context: CommandContext, argument: unknown, where: Where): Promise<void> {
  const front = here(context)?.id;
  const worktree =
    worktreeArgument(argument) ??
    (await pickWorktree(context, "Switch to which worktree?", (one) => one.state === "ready" && (where === "new" || one.id !== front)));
  if (worktree !== undefined) {
    await openWorktree(context, worktree, where);
  }
}

async function remove(context: CommandContext, argument: unknown): Promise<void> {
  const worktree = worktreeArgument(argument) ?? (await pickWorktree(context, "Remove which worktree?", (one) => !one.trunk));
  if (worktree === undefined) {
    return;
  }
  const detail = `${worktree.path}\n\nFiles and branch go to the trash; you can undo this.`;
  if (!(await confirmed(`Remove worktree ${worktree.name}?`, detail, "Remove"))) {
    return;
  }
  try {
    await removeNow(context, worktree, false);
  } catch (thrown) {
    const error = wireError(thrown);
    if (error.kind !== "conflict") {
      throw thrown;
    }
    if (await confirmed(`${worktree.name} is still needed`, `${errorText(error)}\n\nIt can be undone.`, "Remove Anyway")) {
      await removeNow(context, worktree, true);
    }
  }
}

async function removeNow(context: CommandContext, worktree: Worktree, force: boolean): Promise<void> {
  const removed = await context.server.act("podium/worktree/remove", { ...atWorktree(worktree), ...agent(), name: worktree.name, force });
  context.live.refresh("worktrees");
  // Not awaited: the message may stay for long, and the command is done.
  void vscode.window.showInformationMessage(`Removed ${removed.name}.`, "Undo").then(async (choice) => {
    if (choice === "Undo") {
      await vscode.commands.executeCommand("podium.ui.worktree.undo", { undo: removed.undo, repo: worktree.repo.root });
    }
  });
}

async function undo(context: CommandContext, argument: unknown): Promise<void> {
  const named = undoArgument(argument);
  const at = named === undefined ? await repository(context) : { repo: named.repo };
  if (at === undefined) {
    return;
  }
  const undone = await context.server.act("podium/worktree/undo", { ...at, ...(named === undefined ? {} : { id: named.undo }) });
  context.live.refresh("worktrees");
  const choice = await vscode.window.showInformationMessage(`${undone.worktree.name} is back.`, "Open");
  if (choice === "Open") {
    await openWorktree(context, undone.worktree, "setting");
  }
}

function undoArgument(argument: unknown): { undo: string; repo: string } | undefined {
  const known = typeof argument === "object" && argument !== null && "undo" in argument && "repo" in argument;
  return known ? (argument as { undo: string; repo: string }) : undefined;
}

export async function confirmed(message: string, detail: string, verb: string): Promise<boolean> {
  return (await vscode.window.showWarningMessage(message, { modal: true, detail }, verb)) === verb;
}
