/** What the views show, kept up to date by the event log. Nothing here asks again by the clock. */

import * as vscode from "vscode";
import type { Artifact, ArtifactHit, Event, InboxItem, SessionInfo, StatusLine, Worktree } from "./protocol";
import { ownNames } from "./program";
import type { PodiumServer } from "./server";
import { settings } from "./settings";
import { Refresher } from "./stream/refresher";
import { containing } from "./text/worktree";

const TOPICS = ["worktrees", "sessions", "artifacts", "inbox"] as const;
export type Topic = (typeof TOPICS)[number];

/** Which lists an event makes stale, by the first word of its type. */
const CONCERNS: Record<string, readonly Topic[]> = {
  worktree: ["worktrees"],
  claim: ["worktrees"],
  repo: ["worktrees"],
  session: ["sessions"],
  artifact: ["artifacts"],
  inbox: ["inbox"],
};

const SHOWN_SESSIONS = 50;
const SHOWN_ARTIFACTS = 50;

export class Live implements vscode.Disposable {
  worktrees: Worktree[] = [];
  sessions: SessionInfo[] = [];
  artifacts: (Artifact | ArtifactHit)[] = [];
  questions: InboxItem[] = [];
  /** What the Artifacts view searches for; undefined while it shows the newest. */
  query: string | undefined;

  private readonly changed = new vscode.EventEmitter<Topic>();
  readonly onDidChange = this.changed.event;
  private readonly happened = new vscode.EventEmitter<Event>();
  /** Every event of the log, once and in order. */
  readonly onEvent = this.happened.event;
  private readonly refreshers: Record<Topic, Refresher>;
  private readonly disposables: vscode.Disposable[] = [];
  private learned = new Set<string>();
  private subscription: number | undefined;
  private subscribing: Promise<void> | undefined;
  /** Newest event that was seen; a new subscription begins behind it. */
  private seq: number | undefined;

  constructor(
    private readonly server: PodiumServer,
    private readonly log: vscode.LogOutputChannel,
  ) {
    const failed = (topic: Topic) => (error: unknown) => this.log.debug(`reading ${topic}`, error);
    const refresher = (topic: Topic, read: () => Promise<void>): Refresher =>
      new Refresher(async () => {
        if (this.server.state !== "running") {
          return;
        }
        await read();
        this.changed.fire(topic);
        await vscode.commands.executeCommand("setContext", `podium.${topic}Loaded`, true);
      }, failed(topic));
    this.refreshers = {
      worktrees: refresher("worktrees", () => this.readWorktrees()),
      sessions: refresher("sessions", () => this.readSessions()),
      artifacts: refresher("artifacts", () => this.readArtifacts()),
      inbox: refresher("inbox", () => this.readInbox()),
    };
    this.disposables.push(
      this.changed,
      this.happened,
      server.onDidConnect(() => {
        this.subscription = undefined;
      }),
      server.onDidChangeState((state) => {
        if (state === "running") {
          void this.begin();
        } else if (state !== "asleep" && state !== "starting") {
          this.forget();
        }
      }),
      server.on("podium/event", ({ subscription, event }) => this.took(subscription, event)),
      // The death of an owner changes how a claim looks without any event of the log.
      server.on("podium/status", ({ state }) => (state === "off" ? undefined : void this.begin(["worktrees"]))),
      vscode.workspace.onDidChangeWorkspaceFolders(() => this.refresh("worktrees")),
      // The log tells of changed files half a second late at most; what this window does shows at once.
      vscode.workspace.onDidSaveTextDocument(({ uri }) => (this.worktreeOf(uri) ? this.refresh("worktrees") : undefined)),
      vscode.workspace.onDidCreateFiles(() => this.refresh("worktrees")),
      vscode.workspace.onDidDeleteFiles(() => this.refresh("worktrees")),
      vscode.workspace.onDidRenameFiles(() => this.refresh("worktrees")),
      vscode.window.onDidChangeWindowState(({ focused }) => (focused ? this.refresh("worktrees") : undefined)),
    );
  }

  /** Names under which claims are this editor's own. */
  get own(): Set<string> {
    return new Set([...ownNames(process.env, settings().agentId), ...this.learned]);
  }

  refresh(topic: Topic): void {
    this.refreshers[topic].request();
  }

  /** Waits until a list is as new as this moment. */
  fresh(topic: Topic): Promise<void> {
    return this.refreshers[topic].settled();
  }

  refreshAll(): void {
    for (const topic of TOPICS) {
      this.refresh(topic);
    }
  }

  async search(query: string | undefined): Promise<void> {
    this.query = query;
    await vscode.commands.executeCommand("setContext", "podium.artifactQuery", query !== undefined);
    this.refresh("artifacts");
  }

  /** The listed worktree that a file or folder lies in. */
  worktreeOf(uri: vscode.Uri): Worktree | undefined {
    return uri.scheme === "file" ? containing(uri.fsPath, this.worktrees) : undefined;
  }

  session(id: string): SessionInfo | undefined {
    return this.sessions.find((session) => session.id === id);
  }

  /** The server knows best who is asking: what it calls mine is mine. */
  learn(line: StatusLine): void {
    if (line.state === "mine" && line.agentId !== null && !this.own.has(line.agentId)) {
      this.learned.add(line.agentId);
      this.changed.fire("worktrees");
    }
  }

  dispose(): void {
    for (const disposable of this.disposables) {
      disposable.dispose();
    }
  }

  /** Reads lists, and before that follows the log, unless it is followed already. */
  private async begin(topics: readonly Topic[] = TOPICS): Promise<void> {
    const followed = this.subscription !== undefined;
    if (!followed) {
      await (this.subscribing ??= this.subscribe());
    }
    // After the subscription, so that nothing falls between what is read now and what is announced later.
    for (const topic of followed ? topics : TOPICS) {
      this.refresh(topic);
    }
  }

  private async subscribe(): Promise<void> {
    try {
      const from = this.seq === undefined ? {} : { fromSeq: this.seq };
      const answer = await this.server.read("podium/events/subscribe", { types: [], ...from });
      this.subscription = answer.subscription;
      this.seq ??= answer.headSeq;
    } catch (error) {
      // Without a daemon there is none to follow; the next sign of one leads here again.
      this.log.warn("events are not followed", error);
    } finally {
      this.subscribing = undefined;
    }
  }

  private took(subscription: number, event: Event): void {
    if (this.subscription !== undefined && subscription !== this.subscription) {
      return;
    }
    if (this.seq !== undefined && event.seq <= this.seq) {
      return;
    }
    this.seq = event.seq;
    this.happened.fire(event);
    for (const topic of CONCERNS[event.type.split(".")[0] ?? ""] ?? []) {
      this.refresh(topic);
    }
  }

  /** A server with other settings may have another log: its numbers say nothing about ours. */
  private forget(): void {
    this.seq = undefined;
    this.subscription = undefined;
    this.learned = new Set();
    this.worktrees = [];
    this.sessions = [];
    this.artifacts = [];
    this.questions = [];
    for (const topic of TOPICS) {
      this.changed.fire(topic);
      void vscode.commands.executeCommand("setContext", `podium.${topic}Loaded`, false);
    }
  }

  private async readWorktrees(): Promise<void> {
    const folders = (vscode.workspace.workspaceFolders ?? []).filter((folder) => folder.uri.scheme === "file");
    const answers = await Promise.allSettled(
      folders.map((folder) => this.server.read("podium/worktree/list", { uri: folder.uri.toString() })),
    );
    const found = new Map<string, Worktree>();
    for (const answer of answers) {
      // A folder outside any repository has no worktrees; that is no fault.
      for (const worktree of answer.status === "fulfilled" ? answer.value.worktrees : []) {
        found.set(worktree.id, worktree);
      }
    }
    this.worktrees = [...found.values()];
  }

  private async readSessions(): Promise<void> {
    this.sessions = (await this.server.read("podium/session/list", { limit: SHOWN_SESSIONS })).sessions;
  }

  private async readArtifacts(): Promise<void> {
    const query = this.query;
    this.artifacts =
      query === undefined
        ? (await this.server.read("podium/artifact/list", { limit: SHOWN_ARTIFACTS })).artifacts
        : (await this.server.read("podium/artifact/search", { query, limit: SHOWN_ARTIFACTS })).hits;
  }

  private async readInbox(): Promise<void> {
    const { items } = await this.server.read("podium/inbox/list", {});
    this.questions = items.filter((item) => item.decision === null && !item.withdrawnAt);
    await vscode.commands.executeCommand("setContext", "podium.questions", this.questions.length > 0);
  }
}

