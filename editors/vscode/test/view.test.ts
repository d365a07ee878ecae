import assert from "node:assert/strict";
import { test } from "node:test";
import type { SessionItem } from "../src/protocol";
import { Blocks } from "../src/stream/blocks";
import { blockHtml, markdown } from "../src/text/html";
import { headHtml, pageHtml, policy, tailHtml } from "../src/text/sessionPage";
import { item, session } from "./samples";

function call(seq: number, id: string, name: string, input: unknown): SessionItem {
  return { ...item(seq, "tool_call", name), data: { id, name, input } };
}

function result(seq: number, id: string, text: string, isError = false): SessionItem {
  return { ...item(seq, "tool_result", text), data: { id, isError } };
}

function shown(items: SessionItem[]): string[] {
  const blocks = new Blocks();
  items.forEach((one) => blocks.take(one));
  blocks.mark();
  return blocks.list.map(blockHtml);
}

test("nothing of a model's text becomes markup of the page", () => {
  const hostile = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "[x](command:workbench.action.quit)",
    "[x](data:text/html,<script>alert(1)</script>)",
    "![x](https://tell.example/secret)",
    "<https://a.example/'onmouseover='x>",
    "```html\n</code></pre><script>alert(1)</script>\n```",
    "`<b onclick=x>`",
    "<details open ontoggle=alert(1)>",
    "&lt;script&gt;",
  ];
  for (const text of hostile) {
    const html = markdown(text);
    assert.doesNotMatch(html, /<(script|img|iframe|b|details|svg|style|link|meta|form|button)\b/i, html);
    assert.doesNotMatch(html, /<[^>]+\son\w+=/i, html);
    assert.doesNotMatch(html, /(href|src)="(?!https?:|mailto:)/i, html);
  }
  const attack = "</div><script>alert(1)</script>";
  const everywhere = shown([
    item(1, "prompt", attack),
    item(2, "thinking", attack),
    call(3, "a", attack, { path: attack, [attack]: attack }),
    result(4, "a", attack),
    item(5, "permission", attack),
    item(6, "error", attack),
    { ...item(7, "checkpoint", attack), data: { id: `"><script>` } },
  ]).join("");
  const page = headHtml(session({ title: attack, worktree: attack, model: attack })) + everywhere;
  const end = { status: "failed" as const, usage: session().usage, filesChanged: [attack] };
  const whole = page + tailHtml(session({ status: "failed", reason: attack }), end, attack) + tailHtml(session(), undefined, attack);
  assert.doesNotMatch(whole, /<script/i);
});

test("the page runs and loads what carries its nonce, and nothing else", () => {
  const html = pageHtml({ nonce: "n0", script: "https://x/s.js", style: "https://x/s.css" });
  assert.ok(html.includes(`content="${policy("n0")}"`));
  assert.match(policy("n0"), /^default-src 'none'; script-src 'nonce-n0'; style-src 'nonce-n0';/);
  assert.doesNotMatch(policy("n0"), /unsafe|\*|https?:/);
  for (const [tag] of html.matchAll(/<(script|link)\b[^>]*>/g)) {
    assert.match(tag, /nonce="n0"/);
  }
});

test("markdown is rendered", () => {
  const html = markdown("# Title\n\n- one\n- **two**\n\n```rust\nlet x = 1 < 2;\n```\n\n| a |\n|---|\n| b |\n\n[web](https://example.org)");
  for (const part of ["<h1>Title</h1>", "<li>one</li>", "<strong>two</strong>", "let x = 1 &lt; 2;", "<td>b</td>", 'href="https://example.org"']) {
    assert.ok(html.includes(part), `${part} in ${html}`);
  }
});

test("pieces of one answer are one block, also across checkpoints; the place to go back to follows the turn", () => {
  const blocks = shown([
    item(1, "prompt", "p"),
    item(2, "text", "**bo"),
    { ...item(3, "checkpoint", ""), data: { id: "c1" } },
    item(4, "text", "ld**"),
    { ...item(5, "checkpoint", ""), data: { id: "c2" } },
    item(6, "usage", ""),
  ]);
  assert.equal(blocks.length, 3);
  assert.match(blocks[1] ?? "", /<strong>bold<\/strong>/);
  assert.match(blocks[2] ?? "", /data-action="rewind" data-checkpoint="c2"/);
});

test("a tool's call and result are one folded block, told apart by the call's id", () => {
  const [first, second, third] = shown([
    call(1, "a", "read_file", { path: "src/a.rs" }),
    call(2, "b", "run_command", { command: "cargo test\nsecond line" }),
    result(3, "b", "2 failed", true),
    result(4, "a", "fn a() {}"),
    call(5, "c", "commit", { message: "Say hello" }),
  ]);
  assert.match(first ?? "", /^<details class="tool done"><summary>.*read_file.*src\/a\.rs.*<\/summary>.*fn a\(\) \{\}/s);
  assert.match(second ?? "", /^<details class="tool failed">.*cargo test….*2 failed/s);
  assert.match(third ?? "", /class="tool running"/);
  assert.doesNotMatch([first, second, third].join(""), /<details[^>]* open/);
});

test("a change names the blocks that it touched", () => {
  const blocks = new Blocks();
  blocks.take(item(1, "text", "a"));
  blocks.take(call(2, "t", "x", {}));
  assert.deepEqual(blocks.takeChanged(), [0, 1]);
  blocks.take(result(3, "t", "done"));
  assert.deepEqual(blocks.takeChanged(), [1]);
  assert.deepEqual(blocks.takeChanged(), []);
});
