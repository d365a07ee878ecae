/** Puts the parts together when the editor has started, and takes them apart when it ends. */

import * as vscode from "vscode";
import { ArtifactDocuments } from "./artifactDocuments";
import { artifactCommands } from "./commands/artifacts";
import { claimCommands } from "./commands/claims";
import { here, register, type CommandContext } from "./commands/context";
import { inboxCommands, notice } from "./commands/inbox";
import { openRemembered } from "./commands/openWorktree";
import { sessionCommands } from "./commands/sessions";
import { systemCommands } from "./commands/system";
import { worktreeCommands } from "./commands/worktrees";
import { InboxNotices } from "./inboxNotices";
import { Live } from "./live";
import { runServerCommand } from "./serverCommands";
import { PodiumServer } from "./server";
import { SessionDocuments } from "./sessionDocuments";
import { concernsServer } from "./settings";
import { StatusBar } from "./statusBar";
import { ArtifactsView } from "./views/artifacts";
import { SessionsView } from "./views/sessions";
import { WorktreesView } from "./views/worktrees";

let running: PodiumServer | undefined;

export function activate(extension: vscode.ExtensionContext): void {
  const log = vscode.window.createOutputChannel("Podium", { log: true });
  let context: CommandContext | undefined;
  const server = new PodiumServer(log, (command, args, run) => runServerCommand(context, command, args, run));
  const live = new Live(server, log);
  const statusBar = new StatusBar(server, live, log);
  const sessions = new SessionDocuments(server, live, log);
  const artifacts = new ArtifactDocuments(server);
  context = { server, live, statusBar, sessions, artifacts, log, memory: extension.globalState };
  const around = context;

  extension.subscriptions.push(
    log,
    server,
    live,
    statusBar,
    sessions,
    artifacts,
    new WorktreesView(live, () => here(around)),
    new SessionsView(live),
    new ArtifactsView(live),
    new InboxNotices(live, (item) => void notice(around, item).then(undefined, (error: unknown) => log.debug("a question", error))),
    ...[worktreeCommands, claimCommands, sessionCommands, artifactCommands, inboxCommands, systemCommands].flatMap((commands) =>
      register(around, commands(around)),
    ),
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
