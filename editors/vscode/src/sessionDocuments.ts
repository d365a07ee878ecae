/** Sessions as text: read-only markdown that grows as the agent speaks, exactly as it was said. */

import * as vscode from "vscode";
import type { SessionStreams } from "./sessionStreams";
import { Follow } from "./stream/follow";
import { isOver, sessionTab } from "./text/session";

export const SESSION_SCHEME = "podium-session";

/** Text that arrives within this time is shown together. */
const DRAW_EVERY_MS = 60;
/** The editor is handed, and compares, whole documents: long ones are drawn less often, down to once a second. */
const DRAW_MS_PER_CHARACTER = 1 / 2_000;
const DRAW_AT_LEAST_EVERY_MS = 1_000;

export class SessionDocuments implements vscode.TextDocumentContentProvider, vscode.CodeLensProvider, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<vscode.Uri>();
  readonly onDidChange = this.changed.event;
  private readonly lensesChanged = new vscode.EventEmitter<void>();
  readonly onDidChangeCodeLenses = this.lensesChanged.event;
  private readonly open = new Map<string, vscode.Uri>();
  private readonly timers = new Map<string, NodeJS.Timeout>();
  private readonly follows = new WeakMap<vscode.TextEditor, Follow>();
  private readonly disposables: vscode.Disposable[];

  constructor(private readonly streams: SessionStreams) {
    this.disposables = [
      this.changed,
      this.lensesChanged,
      vscode.workspace.registerTextDocumentContentProvider(SESSION_SCHEME, this),
      vscode.languages.registerCodeLensProvider({ scheme: SESSION_SCHEME }, this),
      streams.onDidChange(({ id }) => this.draw(id)),
      vscode.workspace.onDidCloseTextDocument((document) => this.closed(document)),
      vscode.workspace.onDidChangeTextDocument(({ document }) => this.scrollAlong(document)),
      vscode.window.onDidChangeTextEditorSelection((event) => this.cursorMoved(event)),
      vscode.window.onDidChangeTextEditorVisibleRanges((event) => this.scrolled(event)),
      vscode.window.onDidChangeActiveTextEditor((editor) => this.moved(editor)),
    ];
  }

  /** Opens a session's document and follows it from its first item. */
  async show(id: string): Promise<void> {
    const { transcript } = await this.streams.follow(id, "document");
    const uri = this.open.get(id) ?? vscode.Uri.from({ scheme: SESSION_SCHEME, path: `/${sessionTab(transcript.info)}.md`, query: id });
    this.open.set(id, uri);
    const editor = await vscode.window.showTextDocument(await vscode.workspace.openTextDocument(uri), { preview: false });
    this.toEnd(editor);
    this.moved(editor);
  }

  provideTextDocumentContent(uri: vscode.Uri): string {
    return this.streams.get(uri.query)?.transcript.render() ?? "";
  }

  provideCodeLenses(document: vscode.TextDocument): vscode.CodeLens[] {
    const session = this.streams.get(document.uri.query)?.transcript.info;
    if (session === undefined) {
      return [];
    }
    // Above the line that tells the status: above the first one they would be out of sight when they appear.
    const at = new vscode.Range(2, 0, 2, 0);
    const lens = (title: string, command: string, argument: unknown): vscode.CodeLens =>
      new vscode.CodeLens(at, { title, command, arguments: [argument] });
    const node = { kind: "session", session };
    if (!isOver(session.status)) {
      return [lens("$(debug-stop) Cancel", "podium.ui.session.cancel", node)];
    }
    const lenses = [lens("$(debug-continue) Resume", "podium.ui.session.resume", node)];
    if (session.artifact) {
      lenses.push(lens("$(book) Open answer as artifact", "podium.ui.artifact.open", { id: session.artifact }));
    }
    return lenses;
  }

  dispose(): void {
    for (const timer of this.timers.values()) {
      clearTimeout(timer);
    }
    for (const disposable of this.disposables) {
      disposable.dispose();
    }
  }

  private draw(id: string): void {
    const uri = this.open.get(id);
    const length = this.streams.get(id)?.transcript.text.length ?? 0;
    if (uri === undefined || this.timers.has(id)) {
      return;
    }
    const pause = Math.min(DRAW_EVERY_MS + length * DRAW_MS_PER_CHARACTER, DRAW_AT_LEAST_EVERY_MS);
    const timer = setTimeout(() => {
      this.timers.delete(id);
      this.changed.fire(uri);
      this.lensesChanged.fire();
    }, pause);
    this.timers.set(id, timer);
  }

  private moved(editor: vscode.TextEditor | undefined): void {
    const uri = editor?.document.uri;
    this.streams.front("document", uri?.scheme === SESSION_SCHEME ? uri.query : undefined);
  }

  private closed(document: vscode.TextDocument): void {
    const id = document.uri.query;
    if (document.uri.scheme !== SESSION_SCHEME || !this.open.delete(id)) {
      return;
    }
    clearTimeout(this.timers.get(id));
    this.timers.delete(id);
    this.streams.release(id, "document");
  }

  private follow(editor: vscode.TextEditor): Follow {
    const known = this.follows.get(editor);
    if (known !== undefined) {
      return known;
    }
    const made = new Follow();
    this.follows.set(editor, made);
    return made;
  }

  private scrollAlong(document: vscode.TextDocument): void {
    if (document.uri.scheme !== SESSION_SCHEME) {
      return;
    }
    for (const editor of vscode.window.visibleTextEditors) {
      if (editor.document === document && this.follow(editor).wanted) {
        this.toEnd(editor);
      }
    }
  }

  private toEnd(editor: vscode.TextEditor): void {
    const end = endOf(editor.document);
    editor.selection = new vscode.Selection(end, end);
    editor.revealRange(new vscode.Range(end, end));
  }

  private cursorMoved({ textEditor, selections, kind }: vscode.TextEditorSelectionChangeEvent): void {
    // Without a kind it was an edit or `toEnd`, and the document may have grown since.
    if (textEditor.document.uri.scheme === SESSION_SCHEME && kind !== undefined) {
      const cursor = selections[0]?.active;
      this.follow(textEditor).cursorMoved(cursor !== undefined && cursor.isEqual(endOf(textEditor.document)));
    }
  }

  private scrolled({ textEditor, visibleRanges }: vscode.TextEditorVisibleRangesChangeEvent): void {
    const first = visibleRanges[0];
    const last = visibleRanges.at(-1);
    if (textEditor.document.uri.scheme === SESSION_SCHEME && first !== undefined && last !== undefined) {
      this.follow(textEditor).scrolled(first.start.line, last.end.line >= textEditor.document.lineCount - 1);
    }
  }
}

function endOf(document: vscode.TextDocument): vscode.Position {
  return document.lineAt(document.lineCount - 1).range.end;
}
