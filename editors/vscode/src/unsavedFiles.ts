/**
 * Files with unsaved changes that somebody else changes on the disk meanwhile. The editor reloads the clean ones by itself;
 * of the others the person is told once for each change, with both sides to compare. Nothing is ever overwritten.
 */

import { readFile } from "node:fs/promises";
import path from "node:path";
import * as vscode from "vscode";
import type { Live } from "./live";
import type { PodiumServer } from "./server";

const COMPARE = "Compare";
const TAKE = "Take the File's";

export class UnsavedFiles implements vscode.Disposable {
  /** What the disk had when it was last looked at, by the document's URI. */
  private readonly known = new Map<string, string | undefined>();
  private readonly disposables: vscode.Disposable[];

  constructor(
    server: PodiumServer,
    live: Live,
    private readonly log: vscode.LogOutputChannel,
  ) {
    this.disposables = [
      vscode.workspace.onDidChangeTextDocument(({ document }) => this.edited(document)),
      vscode.workspace.onDidSaveTextDocument(({ uri }) => void this.known.delete(uri.toString())),
      vscode.workspace.onDidCloseTextDocument(({ uri }) => void this.known.delete(uri.toString())),
      server.on("podium/session/update", ({ items }) => (items?.some(({ kind }) => kind === "tool_result") ? this.look() : undefined)),
      live.onEvent(({ type }) => (/^(worktree|session)\./.test(type) ? this.look() : undefined)),
    ];
  }

  dispose(): void {
    for (const disposable of this.disposables) {
      disposable.dispose();
    }
  }

  /** The first unsaved change: what the disk has now is what it was made from. */
  private edited(document: vscode.TextDocument): void {
    const key = document.uri.toString();
    if (document.uri.scheme !== "file" || !document.isDirty) {
      this.known.delete(key);
    } else if (!this.known.has(key)) {
      // Held at once, so that the next keystroke does not read again.
      this.known.set(key, undefined);
      void onDisk(document).then((text) => (this.known.has(key) ? this.known.set(key, text) : undefined));
    }
  }

  private look(): void {
    for (const document of vscode.workspace.textDocuments) {
      if (document.isDirty && this.known.has(document.uri.toString())) {
        this.compare(document).catch((error: unknown) => this.log.debug("an unsaved file", error));
      }
    }
  }

  private async compare(document: vscode.TextDocument): Promise<void> {
    const key = document.uri.toString();
    const text = await onDisk(document);
    const before = this.known.get(key);
    if (text === undefined || before === undefined || text === before || text === document.getText() || !document.isDirty) {
      return;
    }
    this.known.set(key, text);
    const name = path.basename(document.uri.fsPath);
    const choice = await vscode.window.showWarningMessage(
      `${name} was changed on the disk while it has unsaved changes here. Yours are untouched.`,
      COMPARE,
      TAKE,
    );
    if (choice === COMPARE) {
      await vscode.commands.executeCommand("workbench.files.action.compareWithSaved", document.uri);
    } else if (choice === TAKE) {
      await vscode.window.showTextDocument(document);
      await vscode.commands.executeCommand("workbench.action.files.revert");
    }
  }
}

function onDisk(document: vscode.TextDocument): Promise<string | undefined> {
  return readFile(document.uri.fsPath, "utf8").catch(() => undefined);
}
