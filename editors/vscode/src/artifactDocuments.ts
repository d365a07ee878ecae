/** Artifacts as read-only documents. Their content never changes, so nothing is watched. */

import * as vscode from "vscode";
import type { PodiumServer } from "./server";
import { artifactFileName } from "./text/artifact";

export const ARTIFACT_SCHEME = "podium-artifact";

export class ArtifactDocuments implements vscode.TextDocumentContentProvider, vscode.Disposable {
  private readonly registration: vscode.Disposable;

  constructor(private readonly server: PodiumServer) {
    this.registration = vscode.workspace.registerTextDocumentContentProvider(ARTIFACT_SCHEME, this);
  }

  /** Shows an artifact; what is no text is opened from its read-only file, as the editor sees fit. */
  async open(id: string): Promise<void> {
    const artifact = await this.server.act("podium/artifact/get", { id });
    if (artifact.text === null) {
      await vscode.commands.executeCommand("vscode.open", vscode.Uri.file(artifact.path));
      return;
    }
    const uri = vscode.Uri.from({ scheme: ARTIFACT_SCHEME, path: `/${artifactFileName(artifact)}`, query: artifact.id });
    await vscode.window.showTextDocument(await vscode.workspace.openTextDocument(uri), { preview: true });
  }

  async provideTextDocumentContent(uri: vscode.Uri): Promise<string> {
    return (await this.server.read("podium/artifact/get", { id: uri.query })).text ?? "";
  }

  dispose(): void {
    this.registration.dispose();
  }
}
