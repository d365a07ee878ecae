/** Claim and release worktrees, and tell who holds them. */

import * as vscode from "vscode";
import type { ClaimOwner, Worktree } from "../protocol";
import { heldBy, ownerFacts, standing } from "../text/claim";
import { errorText, wireError } from "../text/errors";
import { agent, atWorktree, here, pickWorktree, worktreeArgument, type CommandContext, type CommandTable } from "./context";
import { confirmed } from "./worktrees";

export function claimCommands(context: CommandContext): CommandTable {
  return {
    "podium.ui.claim.acquire": (argument) => acquire(context, argument),
    "podium.ui.claim.release": (argument) => release(context, argument),
    "podium.ui.claim.show": (argument) => show(context, argument),
    "podium.ui.claim.menu": () => menu(context),
  };
}

async function acquire(context: CommandContext, argument: unknown): Promise<void> {
  const own = context.live.own;
  const worktree =
    worktreeArgument(argument) ?? (await pickWorktree(context, "Claim which worktree?", (one) => standing(one.claim, own) !== "mine"));
  if (worktree === undefined) {
    return;
  }
  try {
    await acquireNow(context, worktree, false);
  } catch (thrown) {
    const error = wireError(thrown);
    if (error.kind !== "conflict" || error.owner === undefined || error.owner === null) {
      throw thrown;
    }
    const detail = `${ownerFacts(error.owner, new Date()).slice(1).join("\n")}\n\nWhoever works there will be refused from then on.`;
    if (await confirmed(`${worktree.name} is held by ${heldBy(error.owner, new Date())}`, detail, "Take It Over")) {
      await acquireNow(context, worktree, true);
    }
  }
}

async function acquireNow(context: CommandContext, worktree: Worktree, force: boolean): Promise<void> {
  const claimed = await context.server.act("podium/claim/acquire", { ...atWorktree(worktree), ...agent(), worktree: worktree.name, force });
  context.live.refresh("worktrees");
  const from = claimed.replaced ? ` It was held by ${claimed.replaced.agentId}.` : "";
  vscode.window.setStatusBarMessage(`$(pass-filled) ${claimed.worktree} is yours.${from}`, 5_000);
}

async function release(context: CommandContext, argument: unknown): Promise<void> {
  const own = context.live.own;
  const worktree = worktreeArgument(argument) ?? (await pickWorktree(context, "Release which worktree?", (one) => one.claim !== null));
  if (worktree === undefined) {
    return;
  }
  const mine = standing(worktree.claim, own) === "mine";
  if (!mine && worktree.claim !== null) {
    const detail = ownerFacts(worktree.claim, new Date()).join("\n");
    if (!(await confirmed(`Release ${worktree.name} in place of ${worktree.claim.agentId}?`, detail, "Release"))) {
      return;
    }
  }
  try {
    await releaseNow(context, worktree, { allowDirty: false, force: !mine });
  } catch (thrown) {
    const error = wireError(thrown);
    if (error.kind !== "conflict") {
      throw thrown;
    }
    if (await confirmed(`${worktree.name} was not released`, errorText(error), "Release Anyway")) {
      await releaseNow(context, worktree, { allowDirty: true, force: !mine });
    }
  }
}

async function releaseNow(context: CommandContext, worktree: Worktree, how: { allowDirty: boolean; force: boolean }): Promise<void> {
  const who = how.force ? {} : agent();
  await context.server.act("podium/claim/release", { ...atWorktree(worktree), ...who, worktree: worktree.name, ...how });
  context.live.refresh("worktrees");
  vscode.window.setStatusBarMessage(`$(unlock) ${worktree.name} is free.`, 5_000);
}

async function show(context: CommandContext, argument: unknown): Promise<void> {
  const worktree = worktreeArgument(argument) ?? here(context) ?? (await pickWorktree(context, "Owner of which worktree?"));
  if (worktree === undefined) {
    return;
  }
  if (worktree.claim === null) {
    void vscode.window.showInformationMessage(`Nobody has claimed ${worktree.name}.`);
    return;
  }
  const { session } = worktree.claim;
  const actions = session ? ["Open Session"] : [];
  const message = `${worktree.name}: ${ownerFacts(worktree.claim satisfies ClaimOwner, new Date()).join(". ")}.`;
  const choice = await vscode.window.showInformationMessage(message, ...actions);
  if (choice === "Open Session" && session) {
    await context.panels.show(session, false);
  }
}

/** What the status bar offers on a click. */
async function menu(context: CommandContext): Promise<void> {
  await context.live.fresh("worktrees");
  const worktree = here(context);
  const entries: (vscode.QuickPickItem & { command?: string })[] = [];
  if (worktree !== undefined) {
    entries.push({ label: worktree.name, kind: vscode.QuickPickItemKind.Separator }, ...claimEntries(context, worktree));
  }
  entries.push(
    { label: "worktrees", kind: vscode.QuickPickItemKind.Separator },
    { label: "$(arrow-swap) Switch to another worktree…", command: "podium.ui.worktree.switch" },
    { label: "$(add) Create a worktree…", command: "podium.ui.worktree.create" },
    { label: "sessions", kind: vscode.QuickPickItemKind.Separator },
    { label: "$(comment-discussion) Start a session…", command: "podium.ui.session.start" },
    { label: "$(go-to-file) Open a session…", command: "podium.ui.session.open" },
  );
  const placeHolder = worktree === undefined ? "No worktree of a git repository is in front" : describe(context, worktree);
  const chosen = await vscode.window.showQuickPick(entries, { title: "Podium", placeHolder });
  if (chosen?.command !== undefined) {
    const ofWorktree = chosen.command.startsWith("podium.ui.claim.");
    await vscode.commands.executeCommand(chosen.command, ofWorktree ? { worktree } : undefined);
  }
}

function claimEntries(context: CommandContext, worktree: Worktree): (vscode.QuickPickItem & { command: string })[] {
  const acquireEntry = (label: string) => ({ label: `$(lock) ${label}`, command: "podium.ui.claim.acquire" });
  const releaseEntry = (label: string) => ({ label: `$(unlock) ${label}`, command: "podium.ui.claim.release" });
  const owner = { label: "$(account) Show the owner", command: "podium.ui.claim.show" };
  switch (standing(worktree.claim, context.live.own)) {
    case "free":
      return [acquireEntry("Claim it")];
    case "mine":
      return [releaseEntry("Release it"), owner];
    case "dead":
      return [acquireEntry("Claim it: its owner is dead"), owner];
    case "other":
      return [owner, acquireEntry("Take it over…"), releaseEntry("Release it for others…")];
  }
}

function describe(context: CommandContext, worktree: Worktree): string {
  switch (standing(worktree.claim, context.live.own)) {
    case "free":
      return `${worktree.name} is free`;
    case "mine":
      return `You hold ${worktree.name}`;
    case "dead":
      return `${worktree.name}: ${worktree.claim?.agentId ?? ""} is dead`;
    case "other":
      return worktree.claim === null ? worktree.name : `${worktree.name} is held by ${heldBy(worktree.claim, new Date())}`;
  }
}
