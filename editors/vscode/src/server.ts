/** The language server: started, watched, restarted, and talked to. */

import * as vscode from "vscode";
import {
  CloseAction,
  ErrorAction,
  LanguageClient,
  State,
  type CloseHandlerResult,
  type ErrorHandler,
  type ErrorHandlerResult,
  type ExecuteCommandSignature,
  type LanguageClientOptions,
  type StaticFeature,
} from "vscode-languageclient/node";
import { findProgram, serverEnvironment } from "./program";
import type { Notifications } from "./protocol";
import type { Answer, MethodName, NotificationName, Params, Rpc } from "./rpc";
import { settings } from "./settings";
import type { ServerState } from "./text/statusLine";

/** More deaths than this within the window, and the server stays down until a person acts. */
const MAX_DEATHS = 4;
const DEATH_WINDOW_MS = 180_000;

/** How long a request may take before the window says that it is waiting. */
const PATIENCE_MS = 700;

const NOTIFICATIONS: readonly NotificationName[] = [
  "podium/event",
  "podium/session/update",
  "podium/status",
  "podium/progress",
  "podium/daemon/stopping",
];

export type CommandHook = (command: string, args: unknown[], run: ExecuteCommandSignature) => Promise<unknown>;

/** Without this the server sends none of its own notifications. */
class AnnouncePodium implements StaticFeature {
  fillClientCapabilities(capabilities: { experimental?: unknown }): void {
    capabilities.experimental = { ...(capabilities.experimental as object | undefined), podium: true };
  }

  initialize(): void {}

  getState(): { kind: "static" } {
    return { kind: "static" };
  }

  clear(): void {}
}

export class PodiumServer implements Rpc, vscode.Disposable {
  private readonly changed = new vscode.EventEmitter<ServerState>();
  readonly onDidChangeState = this.changed.event;
  private readonly connected = new vscode.EventEmitter<void>();
  /** A server is there that knows nothing of what an earlier one was asked for. Told before the state. */
  readonly onDidConnect = this.connected.event;
  private readonly notified = new vscode.EventEmitter<{ name: NotificationName; params: unknown }>();
  private client: LanguageClient | undefined;
  private current: ServerState = "stopped";
  private deaths: number[] = [];
  /** Starts and stops follow each other: a setting may change while the server is still starting. */
  private turn: Promise<void> = Promise.resolve();

  constructor(
    private readonly log: vscode.LogOutputChannel,
    private readonly commandHook: CommandHook,
  ) {}

  get state(): ServerState {
    return this.current;
  }

  /** Client that converts between the editor's types and the protocol's. */
  get languageClient(): LanguageClient | undefined {
    return this.client;
  }

  on<N extends NotificationName>(name: N, handle: (params: Notifications[N]) => void): vscode.Disposable {
    return this.notified.event((notification) => {
      if (notification.name === name) {
        handle(notification.params as Notifications[N]);
      }
    });
  }

  /** Starts the server unless it runs, or anew where it does. */
  restart(): Promise<void> {
    this.deaths = [];
    return this.inTurn(async () => {
      await this.shutDown();
      this.become("stopped");
      await this.bringUp();
    });
  }

  stop(): Promise<void> {
    return this.inTurn(async () => {
      await this.shutDown();
      this.become("stopped");
    });
  }

  read<M extends MethodName>(method: M, params: Params<M>): Promise<Answer<M>> {
    const client = this.client;
    if (client === undefined || (this.current !== "running" && this.current !== "asleep")) {
      return Promise.reject(new Error(unavailable(this.current)));
    }
    return client.sendRequest<Answer<M>>(method, params);
  }

  async act<M extends MethodName>(method: M, params: Params<M>): Promise<Answer<M>> {
    if (this.current === "asleep") {
      await this.wake();
    }
    return withPatience(this.read(method, params));
  }

  /** Runs one of the server's commands. It takes each for a person's wish, and follows sessions that begin so. */
  async command<A>(command: string, params: object): Promise<A> {
    if (this.client === undefined || (this.current !== "running" && this.current !== "asleep")) {
      throw new Error(unavailable(this.current));
    }
    return withPatience(this.client.sendRequest<A>("workspace/executeCommand", { command, arguments: [params] }));
  }

  /** Brings a daemon back that was stopped on purpose. A command is what the server takes for a person's wish. */
  async wake(): Promise<void> {
    await this.command("podium.status", {});
    if (this.current === "asleep") {
      this.become("running");
    }
  }

  didFocus(uri: string): void {
    if (this.client !== undefined && this.current === "running") {
      this.client.sendNotification("podium/didFocus", { uri }).catch((error: unknown) => this.log.warn(String(error)));
    }
  }

  dispose(): void {
    this.changed.dispose();
    this.connected.dispose();
    this.notified.dispose();
  }

  private inTurn(step: () => Promise<void>): Promise<void> {
    this.turn = this.turn.then(step, step);
    return this.turn;
  }

  private become(state: ServerState): void {
    if (this.current !== state) {
      this.current = state;
      this.changed.fire(state);
    }
  }

  private async bringUp(): Promise<void> {
    if (!vscode.workspace.isTrusted) {
      this.become("untrusted");
      return;
    }
    const { path, home, agentId } = settings();
    const program = findProgram(path, process.env);
    if (program === undefined) {
      this.become("missing");
      void this.explainMissing(path);
      return;
    }
    this.become("starting");
    const client = this.newClient(program, serverEnvironment(process.env, home, agentId));
    this.client = client;
    try {
      await client.start();
    } catch (error) {
      this.log.error(`${program} lsp did not start`, error);
      this.become("failed");
      void this.explainFailure(`Podium's language server did not start: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  private async shutDown(): Promise<void> {
    const client = this.client;
    this.client = undefined;
    if (client === undefined) {
      return;
    }
    try {
      await client.dispose(2_000);
    } catch (error) {
      // It did not get as far as running, or died on the way: nothing is left to stop.
      this.log.debug("stopping the language server", error);
    }
  }

  private newClient(command: string, env: Record<string, string>): LanguageClient {
    const options: LanguageClientOptions = {
      documentSelector: [{ scheme: "file" }],
      outputChannel: this.log,
      traceOutputChannel: this.log,
      initializationOptions: { podium: true },
      errorHandler: this.errorHandler(),
      initializationFailedHandler: () => false,
      middleware: {
        executeCommand: (id: string, args: unknown[], next: ExecuteCommandSignature) => this.commandHook(id, args, next),
      },
    };
    const client = new LanguageClient("podium", "Podium", { command, args: ["lsp"], options: { env } }, options);
    client.registerFeature(new AnnouncePodium());
    client.onDidChangeState(({ newState }) => {
      if (this.client === client) {
        this.clientIs(newState);
      }
    });
    for (const name of NOTIFICATIONS) {
      client.onNotification(name, (params: unknown) => this.received(name, params));
    }
    return client;
  }

  private clientIs(state: State): void {
    if (state === State.Running) {
      this.connected.fire();
      this.become("running");
    } else if (state === State.Starting) {
      this.become("starting");
    } else if (this.current === "running" || this.current === "asleep") {
      this.become("starting");
    }
  }

  private received(name: NotificationName, params: unknown): void {
    if (this.current === "running" && isDeliberateStop(name, params)) {
      this.become("asleep");
    } else if (this.current === "asleep" && isSignOfDaemon(name, params)) {
      // It was started by somebody, and the server found it.
      this.become("running");
    }
    this.notified.fire({ name, params });
  }

  private errorHandler(): ErrorHandler {
    return {
      error: (error): ErrorHandlerResult => {
        this.log.error("connection to the language server", error);
        return { action: ErrorAction.Continue, handled: true };
      },
      closed: (): CloseHandlerResult => {
        const now = Date.now();
        this.deaths = [...this.deaths.filter((at) => now - at < DEATH_WINDOW_MS), now];
        if (this.deaths.length <= MAX_DEATHS) {
          this.log.warn("the language server ended unexpectedly; it is started again");
          return { action: CloseAction.Restart, handled: true };
        }
        this.become("failed");
        void this.explainFailure(`Podium's language server ended ${this.deaths.length} times within 3 minutes.`);
        return { action: CloseAction.DoNotRestart, handled: true };
      },
    };
  }

  private async explainMissing(program: string): Promise<void> {
    const message =
      `Podium: the program \`${program}\` was not found. Install it with \`cargo install --path server/cli\` in Podium's ` +
      "source, or set `podium.path` to where it is.";
    const choice = await vscode.window.showErrorMessage(message, "Open Settings", "Try Again");
    if (choice === "Open Settings") {
      await vscode.commands.executeCommand("podium.ui.openSettings");
    } else if (choice === "Try Again") {
      await this.restart();
    }
  }

  private async explainFailure(message: string): Promise<void> {
    const choice = await vscode.window.showErrorMessage(message, "Restart", "Show Logs");
    if (choice === "Restart") {
      await this.restart();
    } else if (choice === "Show Logs") {
      this.log.show(true);
    }
  }
}

/** A person who waits for more than a moment sees that something is under way: a daemon that starts, a fetch. */
async function withPatience<A>(answer: Promise<A>): Promise<A> {
  const timer = setTimeout(() => {
    const options = { location: vscode.ProgressLocation.Window, title: "Waiting for Podium" };
    void vscode.window.withProgress(options, () => answer.then(() => undefined, () => undefined));
  }, PATIENCE_MS);
  try {
    return await answer;
  } finally {
    clearTimeout(timer);
  }
}

function isDeliberateStop(name: NotificationName, params: unknown): boolean {
  return name === "podium/daemon/stopping" && (params as Notifications["podium/daemon/stopping"]).reason === "deliberate";
}

function isSignOfDaemon(name: NotificationName, params: unknown): boolean {
  return name === "podium/event" || (name === "podium/status" && (params as Notifications["podium/status"]).state !== "off");
}

function unavailable(state: ServerState): string {
  switch (state) {
    case "untrusted":
      return "Podium waits until you trust this workspace";
    case "missing":
      return "The `podium` program was not found";
    case "starting":
      return "Podium is starting";
    default:
      return "Podium's language server is not running";
  }
}
