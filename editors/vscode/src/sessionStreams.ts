/**
 * Sessions that this window shows, each followed by one stream of `podium/session/attach` however many views show it.
 *
 * The server keeps a stream going over a restart of the daemon; over a restart of the server itself, and when a session is
 * resumed after its stream ended, it is attached to anew, behind the last item that was taken in.
 */

import * as vscode from "vscode";
import type { Live } from "./live";
import type { SessionInfo, SessionUpdate } from "./protocol";
import type { PodiumServer } from "./server";
import { Transcript } from "./stream/transcript";
import { isOver } from "./text/session";

/** Kinds of view; each says by itself whether it shows a session, and which of its sessions is in front. */
export type Viewer = "panel" | "document";

export interface Followed {
  readonly id: string;
  readonly transcript: Transcript;
}

class Stream implements Followed {
  subscription: number | undefined;
  attaching: Promise<void> | undefined;
  readonly viewers = new Set<Viewer>();

  constructor(
    readonly id: string,
    readonly transcript: Transcript,
  ) {}
}

export class SessionStreams implements vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<Followed>();
  /** More was said, or the session's state is another. */
  readonly onDidChange = this.changed.event;
  private readonly moved = new vscode.EventEmitter<void>();
  /** Another session is in front, or none. */
  readonly onDidMove = this.moved.event;
  private readonly streams = new Map<string, Stream>();
  private readonly fronts = new Map<Viewer, string>();
  private readonly disposables: vscode.Disposable[];
  /** What menus were told last about the session in front. */
  private told = "";

  constructor(
    private readonly server: PodiumServer,
    private readonly live: Live,
    private readonly log: vscode.LogOutputChannel,
  ) {
    this.disposables = [
      this.changed,
      this.moved,
      server.on("podium/session/update", (update) => this.took(update)),
      server.onDidConnect(() => {
        for (const stream of this.streams.values()) {
          // Subscriptions belonged to the server that is gone.
          stream.subscription = undefined;
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
      this.onDidChange(() => this.tellMenus()),
    ];
  }

  /** Id of the session in front, if one is. */
  get active(): string | undefined {
    return this.fronts.get("panel") ?? this.fronts.get("document");
  }

  info(id: string): SessionInfo | undefined {
    return this.streams.get(id)?.transcript.info ?? this.live.session(id);
  }

  get(id: string): Followed | undefined {
    return this.streams.get(id);
  }

  /** Follows a session from its first item, for a view that shows it from now on. */
  async follow(id: string, viewer: Viewer): Promise<Followed> {
    const known = this.streams.get(id);
    if (known !== undefined) {
      known.viewers.add(viewer);
      return known;
    }
    // Only for what describes it; the items come by the stream.
    const { items: _, more: __, ...session } = await this.server.act("podium/session/show", { id, fromSeq: Number.MAX_SAFE_INTEGER });
    const stream = this.streams.get(id) ?? new Stream(id, new Transcript(session));
    stream.viewers.add(viewer);
    if (!this.streams.has(id)) {
      this.streams.set(id, stream);
      await this.attach(stream);
    }
    return stream;
  }

  /** A view shows a session no more. */
  release(id: string, viewer: Viewer): void {
    const stream = this.streams.get(id);
    this.front(viewer, this.fronts.get(viewer) === id ? undefined : this.fronts.get(viewer));
    if (stream === undefined || !stream.viewers.delete(viewer) || stream.viewers.size > 0) {
      return;
    }
    this.streams.delete(id);
    if (stream.subscription !== undefined) {
      this.unsubscribe(stream.subscription).catch((error: unknown) => this.log.debug("unsubscribe", error));
    }
  }

  /** Follows a session that goes on after its stream ended. */
  async revive(id: string): Promise<void> {
    const stream = this.streams.get(id);
    if (stream !== undefined && stream.transcript.ended) {
      await this.attach(stream);
    }
  }

  /** Reads on where something was added to a session that is over. */
  async refresh(id: string): Promise<void> {
    const stream = this.streams.get(id);
    if (stream !== undefined && stream.subscription === undefined) {
      await this.attach(stream);
    }
  }

  front(viewer: Viewer, id: string | undefined): void {
    if (this.fronts.get(viewer) === id) {
      return;
    }
    if (id === undefined) {
      this.fronts.delete(viewer);
    } else {
      this.fronts.set(viewer, id);
    }
    this.tellMenus();
    this.moved.fire();
  }

  dispose(): void {
    for (const disposable of this.disposables) {
      disposable.dispose();
    }
  }

  /** Follows again what lost its stream with the server or the daemon. */
  private attachLost(): void {
    for (const stream of this.streams.values()) {
      if (stream.subscription === undefined && !stream.transcript.ended) {
        this.attachSoon(stream);
      }
    }
  }

  /** A session that somebody resumed elsewhere goes on in an open view too. */
  private reviveResumed(): void {
    for (const stream of this.streams.values()) {
      const session = this.live.session(stream.id);
      if (stream.transcript.ended && session !== undefined && !isOver(session.status)) {
        this.attachSoon(stream);
      }
    }
  }

  private attachSoon(stream: Stream): void {
    this.attach(stream).catch((error: unknown) => this.log.warn(`session ${stream.id} is not followed`, error));
  }

  /** Streams what comes after the last item shown. One at a time: a second wish joins the first. */
  private attach(stream: Stream): Promise<void> {
    stream.attaching ??= (async () => {
      try {
        const before = stream.subscription;
        stream.subscription = undefined;
        if (before !== undefined) {
          await this.unsubscribe(before);
        }
        const answer = await this.server.read("podium/session/attach", { id: stream.id, fromSeq: stream.transcript.lastSeq });
        stream.subscription = answer.subscription;
        stream.transcript.describe(answer.session);
        this.changed.fire(stream);
      } finally {
        stream.attaching = undefined;
      }
    })();
    return stream.attaching;
  }

  private async unsubscribe(subscription: number): Promise<void> {
    await this.server.read("podium/unsubscribe", { subscription });
  }

  private took(update: SessionUpdate): void {
    const stream = this.streams.get(update.id);
    // While an attach is under way its number is not known yet; items are told apart by their own numbers.
    if (stream === undefined || (stream.subscription !== undefined && stream.subscription !== update.subscription)) {
      return;
    }
    const accepted = stream.transcript.accept(update);
    if (accepted === "gap") {
      this.log.warn(`session ${update.id}: an item after ${stream.transcript.lastSeq} is missing; the stream is asked for again`);
      this.attachSoon(stream);
      return;
    }
    if (accepted === "ended") {
      stream.subscription = undefined;
    }
    this.changed.fire(stream);
  }

  private tellMenus(): void {
    const id = this.active;
    const session = id === undefined ? undefined : this.streams.get(id)?.transcript.info;
    const state = session === undefined ? "" : isOver(session.status) ? "over" : "running";
    if (state !== this.told) {
      this.told = state;
      void vscode.commands.executeCommand("setContext", "podium.session.active", state);
    }
  }
}
