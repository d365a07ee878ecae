/** Puts the parts together when the editor has started, and takes them apart when it ends. */

import * as vscode from "vscode";
import { ArtifactDocuments } from "./artifactDocuments";
import { artifactCommands } from "./commands/artifacts";
import { claimCommands } from "./commands/claims";
import { here, register, type CommandContext } from "./commands/context";
import { inboxCommands, notice } from "./commands/inbox";
import { openRemembered } from "./commands/openWorktree";
import { reviewCommands } from "./commands/reviews";
import { historyCommands } from "./commands/sessionHistory";
import { sessionCommands } from "./commands/sessions";
import { systemCommands } from "./commands/system";
import { worktreeCommands } from "./commands/worktrees";
import { InboxNotices } from "./inboxNotices";
import { Live } from "./live";
import { runServerCommand } from "./serverCommands";
import { PodiumServer } from "./server";
import { Reviews } from "./reviews";
import { SessionDocuments } from "./sessionDocuments";
import { SessionPanels } from "./sessionPanels";
import { SessionStatus } from "./sessionStatus";
import { SessionStreams } from "./sessionStreams";
import { concernsServer } from "./settings";
import { StatusBar } from "./statusBar";
import { UnsavedFiles } from "./unsavedFiles";
import { ArtifactsView } from "./views/artifacts";
import { SessionsView } from "./views/sessions";
import { WorktreesView } from "./views/worktrees";

const COMMANDS = [
  worktreeCommands,
  claimCommands,
  sessionCommands,
  historyCommands,
  reviewCommands,
  artifactCommands,
  inboxCommands,
  systemCommands,
];

let running: PodiumServer | undefined;

export function activate(extension: vscode.ExtensionContext): void {
  const log = vscode.window.createOutputChannel("Podium", { log: true });
  let context: CommandContext | undefined;
  const server = new PodiumServer(log, (command, args, run) => runServerCommand(context, command, args, run));
  const live = new Live(server, log);
  const statusBar = new StatusBar(server, live, log);
  const sessions = new SessionStreams(server, live, log);
  const panels = new SessionPanels(server, sessions, extension.extensionUri, log);
  const sessionTexts = new SessionDocuments(sessions);
  const reviews = new Reviews();
  const artifacts = new ArtifactDocuments(server);
  const memory = extension.globalState;
  context = { server, live, statusBar, sessions, panels, sessionTexts, reviews, artifacts, log, memory };
  const around = context;

  extension.subscriptions.push(
    log,
    server,
    live,
    statusBar,
    sessions,
    panels,
    sessionTexts,
    reviews,
    artifacts,
    new SessionStatus(sessions, live),
    new UnsavedFiles(server, live, log),
    new WorktreesView(live, () => here(around)),
    new SessionsView(live),
    new ArtifactsView(live),
    new InboxNotices(live, (item) => void notice(around, item).then(undefined, (error: unknown) => log.debug("a question", error))),
    ...COMMANDS.flatMap((commands) => register(around, commands(around))),
    server.onDidChangeState((state) => void vscode.commands.executeCommand("setContext", "podium.state", state)),
    vscode.workspace.onDidGrantWorkspaceTrust(() => void server.restart()),
    vscode.workspace.onDidChangeConfiguration((change) => {
      if (concernsServer(change)) {
        void server.restart();
      }
    }),
  );
  running = server;
  void server.restart();
  openRemembered(extension.globalState).then(undefined, (error: unknown) => log.debug("opening the file of the last worktree", error));
}

export async function deactivate(): Promise<void> {
  await running?.stop();
}
