/**
 * Runs within a session's view: puts each block where it belongs, keeps what the reader unfolded, and scrolls along as long
 * as the reader is at the end. The blocks are HTML that the extension made; the page's policy runs nothing of it.
 */

declare function acquireVsCodeApi(): { postMessage(message: unknown): void; setState(state: unknown): void };

interface Change {
  id: string;
  blocks: [at: number, html: string][];
  head: string;
  tail: string;
}

/** Distance from the end, in pixels, that still counts as being there. */
const NEAR = 40;

const vscode = acquireVsCodeApi();
const head = part("head");
const blocks = part("blocks");
const tail = part("tail");

window.addEventListener("message", ({ data }: MessageEvent<Change>) => show(data));
document.addEventListener("click", ({ target }) => pressed(target));
vscode.postMessage({ type: "ready" });

function part(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) {
    throw new Error(`the page has no ${id}`);
  }
  return found;
}

function show(change: Change): void {
  const page = document.scrollingElement;
  const follows = page === null || page.scrollHeight - page.scrollTop - page.clientHeight < NEAR;
  for (const [at, html] of change.blocks) {
    put(at, html);
  }
  replace(head, change.head);
  replace(tail, change.tail);
  vscode.setState({ id: change.id });
  if (follows) {
    page?.scrollTo({ top: page.scrollHeight });
  }
}

function put(at: number, html: string): void {
  while (blocks.children.length <= at) {
    blocks.append(document.createElement("section"));
  }
  const section = blocks.children[at];
  if (section !== undefined) {
    const unfolded = section.querySelector("details")?.open === true;
    section.innerHTML = html;
    const details = section.querySelector("details");
    if (details !== null && unfolded) {
      details.open = true;
    }
  }
}

/** Not where it says the same: a button that is pressed must not vanish under the pointer. */
function replace(part: HTMLElement, html: string): void {
  if (part.dataset["shown"] !== html) {
    part.dataset["shown"] = html;
    part.innerHTML = html;
  }
}

function pressed(target: EventTarget | null): void {
  const button = target instanceof Element ? target.closest<HTMLElement>("button[data-action]") : null;
  if (button !== null) {
    vscode.postMessage({ type: "action", action: button.dataset["action"], checkpoint: button.dataset["checkpoint"] });
  }
}
