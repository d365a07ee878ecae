// What a person does on the first day: watch a claim change hands, take it, ask an agent and read along.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { agent, places } from "./agent.mjs";

const AGENT = "claude-1";

const PROMPT = "Explain what a greeting is, in a few sentences.";

export async function scenario({ workbench, url, languageServers, step, run, options }) {
  const { worktree } = await step("worktree", () => run("imi", ["feat", "demo", "--json"]));
  const { name, path } = worktree;
  const file = options.file ?? execFileSync("git", ["ls-files"], { cwd: path, encoding: "utf8", env: options.env }).split("\n")[0];

  await step("free", async () => {
    await workbench.open(url, path, file);
    return workbench.claim(new RegExp(`${name}: free`), 60_000);
  });

  await step("claimed-elsewhere", async () => {
    await run("imi", ["claim", name, "--agent-id", AGENT, "--json"]);
    const text = await workbench.claim(new RegExp(`${name}: ${AGENT} since \\d\\d:\\d\\d`));
    assert.notEqual(await workbench.claimBackground(), "rgba(0, 0, 0, 0)", "a foreign claim stands out");
    return text;
  });

  await step("worktree-list", async () => {
    await workbench.showPodium();
    const row = await workbench.row("Worktrees", new RegExp(`^${name} .*${AGENT} since`));
    await workbench.row("Worktrees", /^trunk-/);
    return row;
  });

  await step("released-elsewhere", async () => {
    await run("imi", ["release", name, "--agent-id", AGENT, "--json"]);
    await workbench.row("Worktrees", new RegExp(`^${name} (here)?$`));
    return workbench.claim(new RegExp(`${name}: free`));
  });

  await step("radar", () => radar({ workbench, run, worktree, file }));

  await step("owner-dies", async () => {
    const owner = spawn("sleep", ["600"], { stdio: "ignore" });
    try {
      await run("imi", ["claim", name, "--agent-id", AGENT, "--pid", String(owner.pid), "--json"]);
      await workbench.claim(new RegExp(`${name}: ${AGENT} since`));
    } finally {
      owner.kill("SIGKILL");
    }
    // A death makes no event of the log; it is seen when somebody looks.
    await workbench.command("Podium: Read Everything Anew");
    return workbench.claim(new RegExp(`${name}: ${AGENT} is dead`));
  });

  await step("claimed-here", async () => {
    await workbench.command("Podium: Claim Worktree…");
    await workbench.choose(name);
    await workbench.row("Worktrees", new RegExp(`^${name} .*mine`));
    return workbench.claim(new RegExp(`${name}: mine`));
  });

  const killServer = async () => {
    const [server] = languageServers();
    assert.ok(server, "the extension started a language server");
    process.kill(server, "SIGKILL");
    return `language server ${server}`;
  };
  await session({ workbench, step, run, options, name: "session", prompt: options.prompt ?? PROMPT, kill: killServer });
  if (options.killDaemon) {
    const killDaemon = async () => {
      const { pid } = await run("podium", ["status", "--json"]);
      process.kill(pid, "SIGKILL");
      return `daemon ${pid}`;
    };
    await session({ workbench, step, run, options, name: "session-daemon", prompt: `Again ${options.prompt ?? PROMPT}`, kill: killDaemon });
  }
  await codeAction({ workbench, step, file });
  if (options.agent) {
    await agent({ workbench, step, run, options, path, file: options.agent.file });
    await places({ workbench, step, options });
  }
}

/** The page's text, and how far its end is out of sight. */
function endOfPage() {
  const page = document.scrollingElement;
  return [document.body.innerText.replace(/\s+/g, " "), page.scrollHeight - page.scrollTop - page.clientHeight];
}

/** Another worktree changes the same line: the line is marked, and unmarked when the change is taken back. */
async function radar({ workbench, run, worktree, file }) {
  const { worktree: other } = await run("imi", ["feat", "radar", "--json"]);
  const text = readFileSync(`${worktree.path}/${file}`, "utf8");
  writeFileSync(`${worktree.path}/${file}`, `mine ${text}`);
  writeFileSync(`${other.path}/${file}`, `theirs ${text}`);
  await workbench.warnings(true);
  const row = await workbench.row("Worktrees", new RegExp(`^${worktree.name} .*conflicts with ${other.name}`));
  writeFileSync(`${other.path}/${file}`, text);
  await workbench.warnings(false);
  writeFileSync(`${worktree.path}/${file}`, text);
  await run("imi", ["remove", other.name, "--force", "--json"]);
  return row;
}

/** A session from the command palette to its end, with something killed in mid-answer. */
async function session({ workbench, step, run, options, name, prompt, kill }) {
  const limit = options.answerLimitMs ?? 180_000;
  await step(`${name}-asked`, async () => {
    await workbench.command("Podium: Start Session…");
    await workbench.choose(options.provider ?? "local");
    await workbench.answer("What shall the agent do", prompt);
    return workbench.until("the session's view is in front", async (seen) => {
      const tab = await workbench.activeTab();
      seen(tab);
      return tab !== null && tab.startsWith(prompt.slice(0, 20)) && tab;
    });
  });

  const title = prompt.slice(0, 20);
  await step(`${name}-streams`, async () => {
    const lengths = new Set();
    await workbench.until("the answer grows while it is in progress", async (seen) => {
      const text = await workbench.sessionText(title);
      seen(text);
      if (/in progress/.test(text)) lengths.add(text.length);
      return lengths.size >= 4 || /completed/.test(text);
    }, limit);
    // Several lengths while it was in progress: it was streamed, and not shown at its end.
    assert.ok(lengths.size >= 3, `the view grew in ${lengths.size} steps`);
    return `${lengths.size} lengths seen`;
  });

  await step(`${name}-killed-in-mid-answer`, async () => {
    const killed = await kill();
    assert.doesNotMatch(await workbench.sessionText(title), /completed/, "it was in mid-answer");
    return killed;
  });

  await step(`${name}-ends`, () =>
    workbench.until("the view scrolled along and tells how the session ended", async (seen) => {
      const frame = await workbench.sessionPage(title);
      const [text, distance] = (await frame?.evaluate(endOfPage).catch(() => undefined)) ?? ["", NaN];
      seen([text, distance]);
      return /completed(: [^·]*)? · \d+ tokens in/.test(text) && distance < 40;
    }, limit));

  await step(`${name}-text`, async () => {
    await workbench.command("Podium: Show Session as Text…");
    await workbench.until("the session as text is in front", async (seen) => {
      const text = await workbench.visibleText();
      seen(text);
      return /jelmore sessions resume/.test(text);
    });
    const text = await workbench.documentText();
    const id = /jelmore sessions resume ([0-9a-f-]+)/.exec(text)?.[1];
    assert.ok(id, "the document names the session");
    const { items, status } = await run("jelmore", ["sessions", "show", id, "--json"]);
    assert.equal(status, "completed");
    const joined = items.filter((item) => item.kind === "text").map((item) => item.text).join("");
    assert.ok(joined.length > 0, "there is an answer");
    assert.ok(text.includes(joined), `the document holds the stored text as it is\n${text}\n----\n${joined}`);
    return `${joined.length} characters`;
  });

  await step(`${name}-list`, () => workbench.row("Sessions", new RegExp(`^${prompt.slice(0, 20)}`)));
}

async function codeAction({ workbench, step, file }) {
  await step("code-action", async () => {
    await workbench.selectAllOf(file.split("/").at(-1));
    await workbench.codeAction(/explain/i);
    return workbench.until("a new session's view is in front", async (seen) => {
      const text = await workbench.sessionText("Explain the selected");
      seen(text);
      return /in progress/.test(text) && workbench.activeTab();
    });
  });

  await step("session-cancelled", async () => {
    await workbench.command("Podium: Cancel Session…");
    await workbench.until("the view says that it was cancelled, and offers to go on", async (seen) => {
      const text = await workbench.sessionText("Explain the selected");
      seen(text);
      return /cancelled · .*Ask Further/.test(text);
    });
  });
}
