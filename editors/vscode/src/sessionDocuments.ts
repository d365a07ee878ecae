/**
 * Live session documents: read-only markdown that grows as the agent speaks.
 *
 * Each open document is one stream of `podium/session/attach`. The server keeps it going over a restart of the daemon; over
 * a restart of the server itself, and when a session is resumed after its stream ended, it is attached to anew, behind the
 * last item that is shown.
 */

import * as vscode from "vscode";
import type { Live } from "./live";
import type { SessionInfo, SessionUpdate } from "./protocol";
import type { PodiumServer } from "./server";
import { Follow } from "./stream/follow";
import { Transcript } from "./stream/transcript";
import { fileTitle } from "./text/artifact";
import { shortened } from "./text/markdown";
import { isOver, sessionTitle } from "./text/session";

export const SESSION_SCHEME = "podium-session";

/** Longest name of a tab, in characters. */
const TAB_WIDTH = 32;
/** Text that arrives within this time is shown together. */
const DRAW_EVERY_MS = 60;
/** The editor is handed, and compares, whole documents: long ones are drawn less often, down to once a second. */
const DRAW_MS_PER_CHARACTER = 1 / 2_000;
const DRAW_AT_LEAST_EVERY_MS = 1_000;

class Open {
  subscription: number | undefined;
  attaching: Promise<void> | undefined;
  timer: NodeJS.Timeout | undefined;

  constructor(
    readonly uri: vscode.Uri,
    readonly transcript: Transcript,
  ) {}
}

export class SessionDocuments implements vscode.TextDocumentContentProvider, vscode.CodeLensProvider, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<vscode.Uri>();
  readonly onDidChange = this.changed.event;
  private readonly lensesChanged = new vscode.EventEmitter<void>();
  readonly onDidChangeCodeLenses = this.lensesChanged.event;
  private readonly open = new Map<string, Open>();
  private readonly follows = new WeakMap<vscode.TextEditor, Follow>();
  private readonly disposables: vscode.Disposable[];
  /** What menus were told last about the document in front. */
  private told = "";

  constructor(
    private readonly server: PodiumServer,
    private readonly live: Live,
    private readonly log: vscode.LogOutputChannel,
  ) {
    this.disposables = [
      this.changed,
      this.lensesChanged,
      vscode.workspace.registerTextDocumentContentProvider(SESSION_SCHEME, this),
      vscode.languages.registerCodeLensProvider({ scheme: SESSION_SCHEME }, this),
      server.on("podium/session/update", (update) => this.took(update)),
      server.onDidConnect(() => {
        for (const open of this.open.values()) {
          // Subscriptions belonged to the server that is gone.
          open.subscription = undefined;
        }
      }),
      server.onDidChangeState((state) => {
        if (state === "running") {
          this.attachLost();
        }
      }),
      live.onDidChange((topic) => {
        if (topic === "sessions") {
          this.reviveResumed();
        }
      }),
      vscode.workspace.onDidCloseTextDocument((document) => this.closed(document)),
      vscode.workspace.onDidChangeTextDocument(({ document }) => this.scrollAlong(document)),
      vscode.window.onDidChangeTextEditorSelection((event) => this.cursorMoved(event)),
      vscode.window.onDidChangeTextEditorVisibleRanges((event) => this.scrolled(event)),
      vscode.window.onDidChangeActiveTextEditor(() => this.tellMenus()),
    ];
  }

  /** Id of the session in front, if one is. */
  get active(): string | undefined {
    const uri = vscode.window.activeTextEditor?.document.uri;
    return uri?.scheme === SESSION_SCHEME ? uri.query : undefined;
  }

  info(id: string): SessionInfo | undefined {
    return this.open.get(id)?.transcript.info ?? this.live.session(id);
  }

  /** Opens a session's document and follows it from its first item. */
  async show(id: string, beside: boolean): Promise<void> {
    const known = this.open.get(id) ?? (await this.create(id));
    const document = await vscode.workspace.openTextDocument(known.uri);
    const viewColumn = beside && vscode.window.activeTextEditor?.document.uri.scheme === "file" ? vscode.ViewColumn.Beside : undefined;
    const options: vscode.TextDocumentShowOptions = { preview: false, ...(viewColumn === undefined ? {} : { viewColumn }) };
    const editor = await vscode.window.showTextDocument(document, options);
    this.toEnd(editor);
    this.tellMenus();
  }

  /** Follows a session that goes on after its stream ended. */
  async revive(id: string): Promise<void> {
    const open = this.open.get(id);
    if (open !== undefined && open.transcript.ended) {
      await this.attach(id, open);
    }
  }

  provideTextDocumentContent(uri: vscode.Uri): string {
    return this.open.get(uri.query)?.transcript.render() ?? "";
  }

  provideCodeLenses(document: vscode.TextDocument): vscode.CodeLens[] {
    const session = this.open.get(document.uri.query)?.transcript.info;
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
    for (const open of this.open.values()) {
      clearTimeout(open.timer);
    }
    for (const disposable of this.disposables) {
      disposable.dispose();
    }
  }

  private async create(id: string): Promise<Open> {
    // Only for the title, which is part of the document's name; the items come by the stream.
    const { items: _, more: __, ...session } = await this.server.act("podium/session/show", { id, fromSeq: Number.MAX_SAFE_INTEGER });
    const name = fileTitle(shortened(sessionTitle(session), TAB_WIDTH)) || id;
    const uri = vscode.Uri.from({ scheme: SESSION_SCHEME, path: `/${name}.md`, query: id });
    const existing = this.open.get(id);
    if (existing !== undefined) {
      return existing;
    }
    const open = new Open(uri, new Transcript(session));
    this.open.set(id, open);
    await this.attach(id, open);
    return open;
  }

  /** Follows again what lost its stream with the server or the daemon. */
  private attachLost(): void {
    for (const [id, open] of this.open) {
      if (open.subscription === undefined && !open.transcript.ended) {
        this.attachSoon(id, open);
      }
    }
  }

  /** A session that somebody resumed elsewhere goes on in an open document too. */
  private reviveResumed(): void {
    for (const [id, open] of this.open) {
      const session = this.live.session(id);
      if (open.transcript.ended && session !== undefined && !isOver(session.status)) {
        this.attachSoon(id, open);
      }
    }
  }

  private attachSoon(id: string, open: Open): void {
    this.attach(id, open).catch((error: unknown) => this.log.warn(`session ${id} is not followed`, error));
  }

  /** Streams what comes after the last item shown. One at a time: a second wish joins the first. */
  private attach(id: string, open: Open): Promise<void> {
    open.attaching ??= (async () => {
      try {
        const before = open.subscription;
        open.subscription = undefined;
        if (before !== undefined) {
          await this.server.read("podium/unsubscribe", { subscription: before });
        }
        const answer = await this.server.read("podium/session/attach", { id, fromSeq: open.transcript.lastSeq });
        open.subscription = answer.subscription;
        open.transcript.describe(answer.session);
        this.draw(open);
        this.lensesChanged.fire();
      } finally {
        open.attaching = undefined;
      }
    })();
    return open.attaching;
  }

  private took(update: SessionUpdate): void {
    const open = this.open.get(update.id);
    // While an attach is under way its number is not known yet; items are told apart by their own numbers.
    if (open === undefined || (open.subscription !== undefined && open.subscription !== update.subscription)) {
      return;
    }
    const accepted = open.transcript.accept(update);
    if (accepted === "gap") {
      this.log.warn(`session ${update.id}: an item after ${open.transcript.lastSeq} is missing; the stream is asked for again`);
      this.attachSoon(update.id, open);
      return;
    }
    if (accepted === "ended") {
      open.subscription = undefined;
      this.lensesChanged.fire();
    }
    this.draw(open);
  }

  private draw(open: Open): void {
    const pause = Math.min(DRAW_EVERY_MS + open.transcript.text.length * DRAW_MS_PER_CHARACTER, DRAW_AT_LEAST_EVERY_MS);
    open.timer ??= setTimeout(() => {
      open.timer = undefined;
      this.changed.fire(open.uri);
      this.tellMenus();
    }, pause);
  }

  private closed(document: vscode.TextDocument): void {
    const open = document.uri.scheme === SESSION_SCHEME ? this.open.get(document.uri.query) : undefined;
    if (open === undefined) {
      return;
    }
    this.open.delete(document.uri.query);
    clearTimeout(open.timer);
    if (open.subscription !== undefined) {
      this.server
        .read("podium/unsubscribe", { subscription: open.subscription })
        .catch((error: unknown) => this.log.debug("unsubscribe", error));
    }
  }

  private tellMenus(): void {
    const id = this.active;
    const session = id === undefined ? undefined : this.open.get(id)?.transcript.info;
    const state = session === undefined ? "" : isOver(session.status) ? "over" : "running";
    if (state !== this.told) {
      this.told = state;
      void vscode.commands.executeCommand("setContext", "podium.session.active", state);
    }
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
