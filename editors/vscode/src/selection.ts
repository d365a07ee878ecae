/** What a session is told about the place it is asked from: selection, diagnostics, and the symbols it lies in. */

import * as vscode from "vscode";
import type { SessionContext } from "./protocol";
import type { PodiumServer } from "./server";

/** The protocol takes no more text of a selection, in UTF-8 bytes. */
const MAX_SELECTION_BYTES = 64 * 1024;

/** Longest wait for whoever knows the symbols of a file. */
const SYMBOLS_MS = 500;

export async function selectionContext(
  { server }: { server: Pick<PodiumServer, "languageClient"> },
  editor: vscode.TextEditor,
): Promise<SessionContext | undefined> {
  const { document, selection } = editor;
  if (document.uri.scheme !== "file") {
    return undefined;
  }
  const about: SessionContext = { uri: document.uri.toString(), language: document.languageId };
  const converter = server.languageClient?.code2ProtocolConverter;
  if (converter === undefined || selection.isEmpty) {
    return about;
  }
  const text = document.getText(selection);
  const near = vscode.languages.getDiagnostics(document.uri).filter((one) => one.range.intersection(selection) !== undefined);
  const symbols = await symbolsAround(document.uri, selection);
  return {
    ...about,
    range: converter.asRange(selection),
    ...(Buffer.byteLength(text) <= MAX_SELECTION_BYTES ? { text } : {}),
    ...(near.length === 0 ? {} : { diagnostics: near.map((one) => converter.asDiagnostic(one)) }),
    ...(symbols.length === 0 ? {} : { symbols }),
  };
}

export interface Around {
  name: string;
  kind: number;
  range: { start: vscode.Position; end: vscode.Position };
}

/** The symbols that a range lies in, outermost first, as whichever language server of the file knows them. */
export async function symbolsAround(uri: vscode.Uri, range: vscode.Range): Promise<Around[]> {
  type Known = (vscode.DocumentSymbol | vscode.SymbolInformation)[];
  const asked = vscode.commands.executeCommand<Known>("vscode.executeDocumentSymbolProvider", uri);
  const late = new Promise<undefined>((done) => setTimeout(() => done(undefined), SYMBOLS_MS));
  const known = await Promise.race([asked, late]).then((symbols) => symbols, () => undefined);
  const around: Around[] = [];
  let level = (known ?? []).filter((symbol): symbol is vscode.DocumentSymbol => "children" in symbol);
  for (;;) {
    const outer = level.find((symbol) => symbol.range.contains(range));
    if (outer === undefined) {
      return around;
    }
    // The protocol's kinds begin with 1.
    around.push({ name: outer.name, kind: outer.kind + 1, range: { start: outer.range.start, end: outer.range.end } });
    level = outer.children;
  }
}
