/**
 * What sessions changed, under review: the file as it was before beside the file as it is, hunk by hunk. What is there now
 * comes from the disk, so that what is taken back, here or elsewhere, is gone from the review too.
 */

import { readFile } from "node:fs/promises";
import path from "node:path";
import * as vscode from "vscode";
import type { FileDiff, SessionInfo } from "./protocol";
import { hunkAt, oldText, place, without, type Placed } from "./text/hunks";

/** Documents of what was there before; `#gone` stands for a file that is not there now. */
export const BEFORE_SCHEME = "podium-before";

export interface Reviewed {
  session: SessionInfo;
  file: FileDiff;
  /** Hunks that the person said yes to. */
  kept: Set<number>;
}

export class Reviews implements vscode.TextDocumentContentProvider, vscode.CodeLensProvider, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<vscode.Uri>();
  readonly onDidChange = this.changed.event;
  private readonly lensesChanged = new vscode.EventEmitter<void>();
  readonly onDidChangeCodeLenses = this.lensesChanged.event;
  private readonly disposables: vscode.Disposable[];
  /** By the path of the file. */
  private readonly files = new Map<string, Reviewed>();

  constructor() {
    this.disposables = [
      this.changed,
      this.lensesChanged,
      vscode.workspace.registerTextDocumentContentProvider(BEFORE_SCHEME, this),
      vscode.languages.registerCodeLensProvider({ scheme: "file" }, this),
      vscode.workspace.onDidChangeTextDocument(({ document }) => {
        if (this.files.has(document.uri.fsPath)) {
          this.lensesChanged.fire();
        }
      }),
    ];
  }

  /** Puts the files of a session's diff under review; what an earlier review of them said is forgotten. */
  begin(session: SessionInfo, root: string, files: readonly FileDiff[]): void {
    for (const [at, reviewed] of this.files) {
      if (reviewed.session.id === session.id) {
        this.files.delete(at);
      }
    }
    for (const file of files) {
      this.files.set(path.join(root, file.path), { session, file, kept: new Set() });
    }
    this.tell();
  }

  at(file: string): Reviewed | undefined {
    return this.files.get(file);
  }

  /** A hunk that the person has looked at and wants. */
  keep(file: string, hunk: number): void {
    this.files.get(file)?.kept.add(hunk);
    this.tell();
  }

  /** The file's diff as it stands after something was taken back. */
  update(file: string, diff: FileDiff): void {
    const reviewed = this.files.get(file);
    if (reviewed !== undefined) {
      reviewed.file = diff;
      this.changed.fire(this.before(file));
      this.tell();
    }
  }

  /** Shows one file: before on the left, as it is on the right. */
  async show(file: string): Promise<void> {
    const reviewed = this.files.get(file);
    if (reviewed === undefined) {
      return;
    }
    const gone = reviewed.file.status === "deleted";
    const right = gone ? this.before(file).with({ fragment: "gone" }) : vscode.Uri.file(file);
    // It may have been shown before, and the file have changed since.
    this.changed.fire(this.before(file));
    const title = `${path.basename(file)} (what ${reviewed.session.provider} changed)`;
    await vscode.commands.executeCommand("vscode.diff", this.before(file), right, title, { preview: false });
  }

  /** Hunks of an open document that wait for the person's word. */
  open(document: vscode.TextDocument): Placed[] {
    const reviewed = this.files.get(document.uri.fsPath);
    if (reviewed === undefined || document.uri.scheme !== "file") {
      return [];
    }
    return place(linesOf(document.getText()), reviewed.file.hunks).filter(({ hunk }) => !reviewed.kept.has(hunk));
  }

  /** The hunk at the cursor of the editor in front, or the next one. */
  inFront(): { file: string; hunk: number | undefined } | undefined {
    const editor = vscode.window.activeTextEditor;
    const file = editor?.document.uri.fsPath;
    if (editor === undefined || file === undefined || !this.files.has(file)) {
      return undefined;
    }
    return { file, hunk: hunkAt(this.open(editor.document), editor.selection.active.line)?.hunk };
  }

  async provideTextDocumentContent(uri: vscode.Uri): Promise<string> {
    const reviewed = this.files.get(uri.fsPath);
    if (reviewed === undefined || uri.fragment === "gone") {
      return "";
    }
    const now = await textNow(uri.fsPath);
    if (now === undefined) {
      // Nothing is there now: all there was is in the diff.
      return reviewed.file.hunks.map(oldText).join("");
    }
    const lines = linesOf(now);
    return without(lines, place(lines, reviewed.file.hunks)).join("\n");
  }

  provideCodeLenses(document: vscode.TextDocument): vscode.CodeLens[] {
    const file = document.uri.fsPath;
    return this.open(document).flatMap(({ hunk, changed }) => {
      const at = new vscode.Range(changed, 0, changed, 0);
      const lens = (title: string, command: string): vscode.CodeLens =>
        new vscode.CodeLens(at, { title, command, arguments: [{ file, hunk }] });
      return [lens("$(check) Keep", "podium.ui.hunk.keep"), lens("$(discard) Reject", "podium.ui.hunk.reject")];
    });
  }

  dispose(): void {
    for (const disposable of this.disposables) {
      disposable.dispose();
    }
  }

  private before(file: string): vscode.Uri {
    return vscode.Uri.file(file).with({ scheme: BEFORE_SCHEME });
  }

  /** Lenses, and the files whose editors have the actions in their titles. */
  private tell(): void {
    this.lensesChanged.fire();
    const waiting = [...this.files].filter(([, { file, kept }]) => isOpen(file, kept)).map(([at]) => at);
    void vscode.commands.executeCommand("setContext", "podium.reviewFiles", waiting);
  }
}

/** Whether something in it waits for the person's word. */
export function isOpen(file: FileDiff, kept: ReadonlySet<number>): boolean {
  return file.hunks.length === 0 || file.hunks.some((hunk, number) => hunk.state === "there" && !kept.has(number));
}

async function textNow(file: string): Promise<string | undefined> {
  const open = vscode.workspace.textDocuments.find((document) => document.uri.scheme === "file" && document.uri.fsPath === file);
  if (open !== undefined && open.isDirty) {
    return open.getText();
  }
  return readFile(file, "utf8").catch(() => undefined);
}

function linesOf(text: string): string[] {
  return text.split(/\r?\n/);
}
