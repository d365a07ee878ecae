/** Look at what a session changed; keep it or take it back, hunk by hunk. */

import path from "node:path";
import * as vscode from "vscode";
import type { FileDiff, SessionInfo } from "../protocol";
import { isOpen } from "../reviews";
import { omittedWords, changeWords } from "../text/diff";
import type { CommandContext, CommandTable } from "./context";
import { inFront, pickSession, sessionArgument } from "./sessions";

export function reviewCommands(context: CommandContext): CommandTable {
  return {
    "podium.ui.session.changes": (argument) => changes(context, argument),
    "podium.ui.hunk.keep": (argument) => keep(context, argument),
    "podium.ui.hunk.reject": (argument) => reject(context, argument),
    "podium.ui.file.reject": (argument) => rejectFile(context, argument),
  };
}

async function changes(context: CommandContext, argument: unknown): Promise<void> {
  const inWorktree = (one: SessionInfo): boolean => one.worktree !== null;
  const session =
    sessionArgument(argument) ?? inFront(context) ?? (await pickSession(context, "Changes of which session?", inWorktree));
  if (session === undefined) {
    return;
  }
  const { files } = await context.server.act("podium/session/diff", { id: session.id });
  const root = session.worktreePath;
  if (files.length === 0 || root === null) {
    void vscode.window.showInformationMessage("This session changed no files.");
    return;
  }
  context.reviews.begin(session, root, files);
  const chosen = files.length === 1 ? files[0] : await pickFile(files);
  if (chosen !== undefined) {
    await show(context, path.join(root, chosen.path), chosen);
  }
}

async function pickFile(files: readonly FileDiff[]): Promise<FileDiff | undefined> {
  const items = files.map((file) => ({
    label: file.path,
    description: [changeWords(file.status), omittedWords(file), countWords(file)].filter(Boolean).join(" · "),
    file,
  }));
  return (await vscode.window.showQuickPick(items, { ignoreFocusOut: true, placeHolder: "Which file?", matchOnDescription: true }))?.file;
}

function countWords(file: FileDiff): string {
  const count = file.hunks.length;
  return count === 0 ? "" : count === 1 ? "1 change" : `${count} changes`;
}

async function show(context: CommandContext, at: string, file: FileDiff): Promise<void> {
  if (file.hunks.length > 0) {
    await context.reviews.show(at);
    return;
  }
  const question = `${file.path} cannot be shown line by line${file.omitted ? ` (${omittedWords(file)})` : ""}.`;
  const choice = await vscode.window.showInformationMessage(question, "Open It", "Take It Back");
  if (choice === "Open It") {
    await vscode.commands.executeCommand("vscode.open", vscode.Uri.file(at));
  } else if (choice === "Take It Back") {
    await revert(context, at, undefined);
  }
}

async function keep(context: CommandContext, argument: unknown): Promise<void> {
  const meant = hunkArgument(argument) ?? context.reviews.inFront();
  if (meant?.hunk !== undefined) {
    context.reviews.keep(meant.file, meant.hunk);
    await goOn(context, meant.file);
  }
}

async function reject(context: CommandContext, argument: unknown): Promise<void> {
  const meant = hunkArgument(argument) ?? context.reviews.inFront();
  if (meant === undefined) {
    return;
  }
  // Without lines on the right the whole file is one change.
  await revert(context, meant.file, meant.hunk === undefined ? undefined : [meant.hunk]);
  await goOn(context, meant.file);
}

async function rejectFile(context: CommandContext, argument: unknown): Promise<void> {
  const file = hunkArgument(argument)?.file ?? context.reviews.inFront()?.file;
  if (file !== undefined) {
    await revert(context, file, undefined);
  }
}

async function revert(context: CommandContext, at: string, hunks: number[] | undefined): Promise<void> {
  const reviewed = context.reviews.at(at);
  if (reviewed === undefined) {
    return;
  }
  const open = vscode.workspace.textDocuments.find((document) => document.uri.scheme === "file" && document.uri.fsPath === at);
  if (open?.isDirty) {
    throw new Error(`${path.basename(at)} has changes that are not saved: save or undo them first`);
  }
  const { session, file } = reviewed;
  const bytes = file.pathBytes ? { pathBytes: file.pathBytes } : {};
  const which = hunks === undefined ? {} : { hunks };
  const answer = await context.server.act("podium/session/revert", { id: session.id, path: file.path, ...bytes, ...which });
  context.reviews.update(at, answer.file);
}

/** The next change of the file comes into sight; where there is none, the next file that has one. */
async function goOn(context: CommandContext, at: string): Promise<void> {
  const reviewed = context.reviews.at(at);
  const editor = vscode.window.activeTextEditor;
  if (reviewed === undefined || editor === undefined || editor.document.uri.fsPath !== at || !isOpen(reviewed.file, reviewed.kept)) {
    return;
  }
  const next = context.reviews.open(editor.document)[0];
  if (next !== undefined) {
    const position = new vscode.Position(next.changed, 0);
    editor.selection = new vscode.Selection(position, position);
    editor.revealRange(new vscode.Range(position, position), vscode.TextEditorRevealType.InCenterIfOutsideViewport);
  }
}

function hunkArgument(argument: unknown): { file: string; hunk: number } | undefined {
  const known = typeof argument === "object" && argument !== null && "file" in argument && "hunk" in argument;
  if (!known || typeof argument.file !== "string" || typeof argument.hunk !== "number") {
    return undefined;
  }
  return { file: argument.file, hunk: argument.hunk };
}
