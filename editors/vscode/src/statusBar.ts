/** The claim indicator and the count of open questions. Both follow; neither ever takes the focus. */

import * as vscode from "vscode";
import type { Live } from "./live";
import type { StatusLine } from "./protocol";
import type { PodiumServer } from "./server";
import { settings } from "./settings";
import { absentIndicator, claimIndicator, type Indicator } from "./text/statusLine";

export class StatusBar implements vscode.Disposable {
  private readonly claim = vscode.window.createStatusBarItem("podium.claim", vscode.StatusBarAlignment.Left, 100);
  private readonly questions = vscode.window.createStatusBarItem("podium.questions", vscode.StatusBarAlignment.Left, 99);
  private readonly disposables: vscode.Disposable[];
  private line: StatusLine | undefined;
  /** Folder or file in front; kept while an editor without a file is. */
  private focus: vscode.Uri | undefined;
  /** Rises with every focus, so that a late answer about an earlier file is dropped. */
  private round = 0;

  constructor(
    private readonly server: PodiumServer,
    private readonly live: Live,
    private readonly log: vscode.LogOutputChannel,
  ) {
    this.claim.name = "Podium: Claim";
    this.questions.name = "Podium: Questions";
    this.questions.command = "podium.ui.inbox.answer";
    this.disposables = [
      this.claim,
      this.questions,
      server.on("podium/status", (line) => this.show(line)),
      server.onDidChangeState((state) => {
        if (state === "running") {
          void this.ask();
        } else {
          this.draw();
        }
      }),
      live.onDidChange((topic) => (topic === "inbox" ? this.drawQuestions() : this.draw())),
      vscode.window.onDidChangeActiveTextEditor(() => this.refocus()),
      vscode.workspace.onDidChangeWorkspaceFolders(() => this.refocus()),
      vscode.workspace.onDidChangeConfiguration((change) => {
        if (change.affectsConfiguration("podium.statusBar")) {
          this.draw();
        }
      }),
    ];
    this.refocus();
    this.draw();
  }

  /** File or folder that the indicator is about. */
  get subject(): vscode.Uri | undefined {
    return this.focus;
  }

  /** What the server said last about it. */
  get current(): StatusLine | undefined {
    return this.line;
  }

  dispose(): void {
    for (const disposable of this.disposables) {
      disposable.dispose();
    }
  }

  private refocus(): void {
    const front = inFront();
    if (front === undefined || front.toString() === this.focus?.toString()) {
      return;
    }
    this.focus = front;
    void this.ask();
  }

  private async ask(): Promise<void> {
    if (this.server.state !== "running") {
      return;
    }
    this.round += 1;
    const round = this.round;
    const uri = this.focus?.toString();
    if (uri !== undefined) {
      this.server.didFocus(uri);
    }
    try {
      const line = await this.server.read("podium/statusLine", uri === undefined ? {} : { uri });
      if (round === this.round) {
        this.show(line);
      }
    } catch (error) {
      this.log.debug("status line", error);
    }
  }

  private show(line: StatusLine): void {
    this.line = line;
    this.live.learn(line);
    this.draw();
  }

  private draw(): void {
    const detail = settings().statusBar;
    const state = this.server.state;
    if (detail === "off") {
      this.claim.hide();
      return;
    }
    if (state !== "running") {
      this.apply(absentIndicator(state));
    } else if (this.line === undefined) {
      this.apply(absentIndicator("starting"));
    } else {
      this.apply(claimIndicator(this.line, this.worktree(this.line), detail, new Date()));
    }
  }

  private worktree(line: StatusLine): ReturnType<Live["worktreeOf"]> {
    const here = this.focus === undefined ? undefined : this.live.worktreeOf(this.focus);
    return here?.name === line.worktree ? here : this.live.worktrees.find((worktree) => worktree.name === line.worktree);
  }

  private apply(indicator: Indicator): void {
    this.claim.text = indicator.text;
    this.claim.tooltip = new vscode.MarkdownString(indicator.tooltip);
    this.claim.color = indicator.color === undefined ? undefined : new vscode.ThemeColor(indicator.color);
    this.claim.backgroundColor =
      indicator.background === undefined ? undefined : new vscode.ThemeColor(`statusBarItem.${indicator.background}Background`);
    this.claim.command = indicator.command;
    this.claim.accessibilityInformation = { label: `Podium: ${indicator.label}`, role: "button" };
    this.claim.show();
  }

  private drawQuestions(): void {
    const count = this.live.questions.length;
    if (count === 0) {
      this.questions.hide();
      return;
    }
    this.questions.text = `$(question) ${count}`;
    this.questions.tooltip = count === 1 ? "An agent asks you something" : `Agents ask you ${count} things`;
    this.questions.show();
  }
}

/** The file in front; else the first folder, so that a window without open files has an indicator too. */
function inFront(): vscode.Uri | undefined {
  const editor = vscode.window.activeTextEditor;
  if (editor !== undefined) {
    return editor.document.uri.scheme === "file" ? editor.document.uri : undefined;
  }
  return vscode.workspace.workspaceFolders?.find((folder) => folder.uri.scheme === "file")?.uri;
}
