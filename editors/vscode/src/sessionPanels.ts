/** Views of sessions: rendered as they stream, tool calls folded. One for each session. */

import { randomBytes } from "node:crypto";
import * as vscode from "vscode";
import type { PodiumServer } from "./server";
import type { Followed, SessionStreams } from "./sessionStreams";
import { blockHtml } from "./text/html";
import { sessionTab } from "./text/session";
import { headHtml, pageHtml, tailHtml } from "./text/sessionPage";

const TYPE = "podium.session";
/** What is said within this time is shown together; long blocks are rendered less often. */
const DRAW_EVERY_MS = 50;
const DRAW_MS_PER_CHARACTER = 1 / 500;
const DRAW_AT_LEAST_EVERY_MS = 1_000;

/** What the page may ask for. It shows what a model said, so nothing else is taken from it. */
const ACTIONS: ReadonlySet<string> = new Set(["cancel", "resume", "changes", "fork", "rewind", "text"]);

class Panel {
  /** Whether the page listens. */
  ready = false;
  timer: NodeJS.Timeout | undefined;

  constructor(
    readonly followed: Followed,
    readonly view: vscode.WebviewPanel,
  ) {}
}

export class SessionPanels implements vscode.WebviewPanelSerializer, vscode.Disposable {
  private readonly panels = new Map<string, Panel>();
  private readonly disposables: vscode.Disposable[];

  constructor(
    private readonly server: PodiumServer,
    private readonly streams: SessionStreams,
    private readonly extension: vscode.Uri,
    private readonly log: vscode.LogOutputChannel,
  ) {
    this.disposables = [
      streams.onDidChange(({ id }) => this.draw(id)),
      vscode.window.registerWebviewPanelSerializer(TYPE, this),
    ];
  }

  /** Opens a session's view and follows it from its first item. */
  async show(id: string, beside: boolean): Promise<void> {
    const known = this.panels.get(id);
    if (known !== undefined) {
      known.view.reveal();
      return;
    }
    const followed = await this.streams.follow(id, "panel");
    const aside = beside && vscode.window.activeTextEditor?.document.uri.scheme === "file";
    const column = aside ? vscode.ViewColumn.Beside : vscode.ViewColumn.Active;
    const options = { retainContextWhenHidden: true, enableFindWidget: true };
    this.keep(followed, vscode.window.createWebviewPanel(TYPE, sessionTab(followed.transcript.info), column, options));
  }

  /** A view of the window as it was before it was closed. */
  async deserializeWebviewPanel(view: vscode.WebviewPanel, state: unknown): Promise<void> {
    const id = typeof state === "object" && state !== null && "id" in state ? state.id : undefined;
    if (typeof id !== "string") {
      view.dispose();
      return;
    }
    try {
      await this.running();
      this.keep(await this.streams.follow(id, "panel"), view);
    } catch (error) {
      this.log.debug(`session ${id} is not shown again`, error);
      view.dispose();
    }
  }

  dispose(): void {
    for (const panel of this.panels.values()) {
      clearTimeout(panel.timer);
    }
    for (const disposable of this.disposables) {
      disposable.dispose();
    }
  }

  private running(): Promise<void> {
    if (this.server.state === "running") {
      return Promise.resolve();
    }
    return new Promise((done) => {
      const listener = this.server.onDidChangeState((state) => {
        if (state === "running") {
          listener.dispose();
          done();
        }
      });
    });
  }

  private keep(followed: Followed, view: vscode.WebviewPanel): void {
    const { id } = followed;
    const panel = new Panel(followed, view);
    this.panels.set(id, panel);
    view.iconPath = { dark: this.at("media", "session-dark.svg"), light: this.at("media", "session-light.svg") };
    view.onDidDispose(() => {
      this.panels.delete(id);
      clearTimeout(panel.timer);
      this.streams.release(id, "panel");
    });
    view.onDidChangeViewState(() => this.front(panel));
    view.webview.onDidReceiveMessage((message: unknown) => this.heard(panel, message));
    view.webview.options = { enableScripts: true, localResourceRoots: [this.at("dist"), this.at("media")] };
    view.webview.html = pageHtml({
      nonce: randomBytes(16).toString("hex"),
      script: view.webview.asWebviewUri(this.at("dist", "session.js")).toString(),
      style: view.webview.asWebviewUri(this.at("media", "session.css")).toString(),
    });
    this.front(panel);
  }

  private at(...path: string[]): vscode.Uri {
    return vscode.Uri.joinPath(this.extension, ...path);
  }

  private front({ view, followed }: Panel): void {
    if (view.active) {
      this.streams.front("panel", followed.id);
    } else if (this.streams.active === followed.id) {
      this.streams.front("panel", undefined);
    }
  }

  private heard(panel: Panel, message: unknown): void {
    if (typeof message !== "object" || message === null || !("type" in message)) {
      return;
    }
    if (message.type === "ready") {
      panel.ready = true;
      panel.followed.transcript.blocks.takeChanged();
      this.post(panel, panel.followed.transcript.blocks.list.map((_, at) => at));
    } else if (message.type === "action" && "action" in message && typeof message.action === "string" && ACTIONS.has(message.action)) {
      const checkpoint = "checkpoint" in message && typeof message.checkpoint === "string" ? message.checkpoint : undefined;
      const node = { kind: "session", session: panel.followed.transcript.info, checkpoint };
      void vscode.commands.executeCommand(`podium.ui.session.${message.action}`, node);
    }
  }

  private draw(id: string): void {
    const panel = this.panels.get(id);
    if (panel === undefined || !panel.ready) {
      return;
    }
    const last = panel.followed.transcript.blocks.list.at(-1);
    const length = last !== undefined && "text" in last ? last.text.length : 0;
    panel.timer ??= setTimeout(
      () => {
        panel.timer = undefined;
        this.post(panel, panel.followed.transcript.blocks.takeChanged());
      },
      Math.min(DRAW_EVERY_MS + length * DRAW_MS_PER_CHARACTER, DRAW_AT_LEAST_EVERY_MS),
    );
  }

  private post({ view, followed }: Panel, numbers: readonly number[]): void {
    const { transcript, id } = followed;
    const blocks = numbers.flatMap((at) => {
      const block = transcript.blocks.list[at];
      return block === undefined ? [] : [[at, blockHtml(block)]];
    });
    const head = headHtml(transcript.info);
    const tail = tailHtml(transcript.info, transcript.outcome, transcript.under);
    void view.webview.postMessage({ id, blocks, head, tail });
  }
}
