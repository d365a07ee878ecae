/** Opens a worktree as a folder, with the file that was in front where it has that file too. */

import * as vscode from "vscode";
import type { Worktree } from "../protocol";
import { settings } from "../settings";
import { containing } from "../text/worktree";
import { atWorktree, type CommandContext } from "./context";

export type Where = "same" | "new" | "setting";

/** Key under which the file to open is kept while the window changes its folder. */
const PENDING = "podium.openAfterSwitch";
/** A window that takes longer to come up does not surprise its user with a file. */
const PENDING_FOR_MS = 30_000;

interface Pending {
  folder: string;
  file: string;
  until: number;
}

export async function openWorktree(context: CommandContext, worktree: Worktree, where: Where): Promise<void> {
  const front = vscode.window.activeTextEditor?.document.uri;
  const uri = front?.scheme === "file" ? { uri: front.toString() } : atWorktree(worktree);
  const found = await switched(context, worktree, uri);
  const folder = vscode.Uri.file(found.worktree.path);
  const file = found.uri === undefined || found.uri === null ? undefined : vscode.Uri.parse(found.uri, true);
  const inNew = where === "new" || (where === "setting" && settings().openWorktreeIn === "new");
  if (!inNew && (await replaceInWorkspace(context, worktree, folder, file))) {
    return;
  }
  await remember(context, folder, file);
  await vscode.commands.executeCommand("vscode.openFolder", folder, { forceNewWindow: inNew, forceReuseWindow: !inNew });
}

/** The file in front may lie in another repository; then only the worktree itself is looked for. */
async function switched(context: CommandContext, worktree: Worktree, at: { uri: string } | { repo: string }) {
  const sameRepo = !("uri" in at) || context.live.worktreeOf(vscode.Uri.parse(at.uri))?.repo.id === worktree.repo.id;
  return context.server.act("podium/worktree/switch", { ...(sameRepo ? at : atWorktree(worktree)), name: worktree.name });
}

/** With several folders open, the worktree takes the place of its sibling, and the others stay. */
async function replaceInWorkspace(
  context: CommandContext,
  worktree: Worktree,
  folder: vscode.Uri,
  file: vscode.Uri | undefined,
): Promise<boolean> {
  const folders = vscode.workspace.workspaceFolders ?? [];
  if (folders.length < 2) {
    return false;
  }
  const siblings = context.live.worktrees.filter((one) => one.repo.id === worktree.repo.id);
  const at = folders.findIndex((one) => containing(one.uri.fsPath, siblings) !== undefined);
  if (at < 0 || !vscode.workspace.updateWorkspaceFolders(at, 1, { uri: folder })) {
    return false;
  }
  if (file !== undefined) {
    await vscode.window.showTextDocument(file);
  }
  return true;
}

async function remember(context: CommandContext, folder: vscode.Uri, file: vscode.Uri | undefined): Promise<void> {
  if (file !== undefined) {
    const pending: Pending = { folder: folder.toString(), file: file.toString(), until: Date.now() + PENDING_FOR_MS };
    await context.memory.update(PENDING, pending);
  }
}

/** Opens what `openWorktree` left for the window that shows its folder. */
export async function openRemembered(memory: vscode.Memento): Promise<void> {
  const pending = memory.get<Pending>(PENDING);
  const mine = vscode.workspace.workspaceFolders?.some((folder) => folder.uri.toString() === pending?.folder);
  if (pending === undefined || !mine) {
    return;
  }
  await memory.update(PENDING, undefined);
  if (Date.now() < pending.until) {
    await vscode.window.showTextDocument(vscode.Uri.parse(pending.file, true));
  }
}
