/** What every command has at hand, and how commands run. */

import * as vscode from "vscode";
import type { ArtifactDocuments } from "../artifactDocuments";
import type { Live } from "../live";
import type { Worktree } from "../protocol";
import type { At } from "../rpc";
import type { PodiumServer } from "../server";
import type { Reviews } from "../reviews";
import type { SessionDocuments } from "../sessionDocuments";
import type { SessionPanels } from "../sessionPanels";
import type { SessionStreams } from "../sessionStreams";
import { settings } from "../settings";
import type { StatusBar } from "../statusBar";
import { errorText, wireError } from "../text/errors";
import { activity, inOrder, worktreeRow } from "../text/worktree";

export interface CommandContext {
  server: PodiumServer;
  live: Live;
  statusBar: StatusBar;
  sessions: SessionStreams;
  panels: SessionPanels;
  sessionTexts: SessionDocuments;
  reviews: Reviews;
  artifacts: ArtifactDocuments;
  log: vscode.LogOutputChannel;
  /** Survives the restart of the extension that comes with opening another folder. */
  memory: vscode.Memento;
}

export type CommandTable = Record<string, (argument: unknown) => Promise<void>>;

/** Registers commands; a failure becomes a message with what to do next, and the log has the rest. */
export function register(context: CommandContext, table: CommandTable): vscode.Disposable[] {
  return Object.entries(table).map(([id, run]) =>
    vscode.commands.registerCommand(id, async (argument: unknown) => {
      try {
        await run(argument);
      } catch (error) {
        await tellFailure(context, error);
      }
    }),
  );
}

export async function tellFailure(context: Pick<CommandContext, "log">, thrown: unknown): Promise<void> {
  const error = wireError(thrown);
  context.log.error(thrown instanceof Error ? thrown : String(thrown));
  // What is in somebody's way is no fault; red is for faults.
  const show = error.kind === "internal" ? vscode.window.showErrorMessage : vscode.window.showWarningMessage;
  const choice = await show(`Podium: ${errorText(error)}`, "Show Logs");
  if (choice === "Show Logs") {
    context.log.show(true);
  }
}

/** The agent this editor acts for, where the settings name one. */
export function agent(): { agentId?: string } {
  const { agentId } = settings();
  return agentId === "" ? {} : { agentId };
}

/** Names a listed worktree without doubt. */
export function atWorktree(worktree: Worktree): Required<Pick<At, "repo">> {
  return { repo: worktree.repo.root };
}

/** The worktree in front. */
export function here(context: Pick<CommandContext, "live" | "statusBar">): Worktree | undefined {
  const subject = context.statusBar.subject;
  return subject === undefined ? undefined : context.live.worktreeOf(subject);
}

/** The worktree of a view's row, where a command was called from one. */
export function worktreeArgument(argument: unknown): Worktree | undefined {
  if (typeof argument === "object" && argument !== null && "worktree" in argument) {
    return argument.worktree as Worktree;
  }
  return undefined;
}

/**
 * Where the repository lies that is meant: the file in front; the only folder; else the person says which one. Undefined
 * when they went away.
 */
export async function repository(context: CommandContext): Promise<At | undefined> {
  const front = vscode.window.activeTextEditor?.document.uri;
  if (front?.scheme === "file") {
    return { uri: front.toString() };
  }
  const folders = (vscode.workspace.workspaceFolders ?? []).filter((folder) => folder.uri.scheme === "file");
  if (folders.length > 1) {
    const folder = await vscode.window.showWorkspaceFolderPick({ placeHolder: "In which folder's repository?" });
    return folder === undefined ? undefined : { uri: folder.uri.toString() };
  }
  const only = folders[0]?.uri ?? context.statusBar.subject;
  if (only === undefined) {
    throw new Error("Open a folder of a git repository first");
  }
  return { uri: only.toString() };
}

/** Lets a person choose a worktree; the one in front is offered first. */
export async function pickWorktree(
  context: CommandContext,
  placeHolder: string,
  fits: (worktree: Worktree) => boolean = () => true,
): Promise<Worktree | undefined> {
  await context.live.fresh("worktrees");
  const now = new Date();
  const front = here(context)?.id;
  const fitting = inOrder(context.live.worktrees, context.live.own).filter(fits);
  if (fitting.length === 0) {
    throw new Error(context.live.worktrees.length === 0 ? "There are no worktrees here" : "No worktree fits");
  }
  fitting.sort((a, b) => Number(b.id === front) - Number(a.id === front));
  const several = new Set(fitting.map((worktree) => worktree.repo.id)).size > 1;
  const items = fitting.map((worktree) => {
    const row = worktreeRow(worktree, context.live.own, worktree.id === front, now);
    const detail = several || worktree.branch !== worktree.name ? { detail: `${worktree.branch ?? "no branch"} · ${worktree.path}` } : {};
    const description = [row.description, activity(worktree, now)].filter((part) => part !== "").join(" · ");
    return { label: row.label, description, iconPath: new vscode.ThemeIcon(row.icon), ...detail, worktree };
  });
  const options = { ignoreFocusOut: true, placeHolder, matchOnDescription: true, matchOnDetail: true };
  const chosen = await vscode.window.showQuickPick(items, options);
  return chosen?.worktree;
}
