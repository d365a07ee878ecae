// An agent that changes files and asks: its question is answered, its change taken back in part, its session gone on with.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

const PROMPT = "Change the poem, please";

export async function agent({ workbench, step, options, path, file }) {
  const text = () => readFileSync(`${path}/${file}`, "utf8");
  const before = text().split("\n");

  await step("agent-asks", async () => {
    await workbench.command("Podium: Start Session…");
    await workbench.choose(options.agent.provider);
    await workbench.answer("What shall the agent do", PROMPT);
    await workbench.until("the question is told of, and nothing else is touched", async (seen) => {
      const [messages, count] = [await workbench.messages(), await workbench.statusText("podium.questions")];
      seen([messages, count]);
      return messages.some((message) => message.includes("run")) && count === "1";
    });
    const tab = await workbench.activeTab();
    assert.ok(tab?.startsWith(PROMPT.slice(0, 20)), `the focus stays where it was: ${tab}`);
    await workbench.showPodium();
    return workbench.row("Sessions", /^Inbox 1 open/);
  });

  await step("agent-answered", async () => {
    await workbench.command("Podium: Answer Questions…");
    // The only question, then what may be said to it.
    await workbench.choose("run");
    await workbench.choose("Allow Once");
    return workbench.until("the session goes on and ends", async (seen) => {
      const shown = await workbench.sessionText(PROMPT);
      seen(shown);
      return /completed(: [^·]*)? · \d+ tokens in/.test(shown) && shown;
    });
  });

  await step("agent-rendered", async () => {
    const page = await workbench.sessionPage(PROMPT);
    const shown = await page.evaluate(() => ({
      bold: [...document.querySelectorAll(".answer strong")].map((part) => part.textContent),
      folded: [...document.querySelectorAll("details.tool")].map((part) => [part.open, part.querySelector(".name").textContent]),
      scripts: document.querySelectorAll("#blocks script, #blocks img").length,
      owned: globalThis.owned === true,
    }));
    const expected = { bold: ["two"], folded: [[false, "edit_file"], [false, "run_command"]], scripts: 0, owned: false };
    assert.deepEqual(shown, expected);
    await page.locator("details.tool summary").first().click();
    await page.locator("details.tool pre", { hasText: "zwei" }).first().waitFor();
    const usage = await workbench.statusText("podium.session");
    assert.match(usage, /\d+ in · \d+ out · \$0\.\d+/, "tokens and cost are in the status bar");
    return usage;
  });

  if (options.agent.review) {
    await review({ workbench, step, text, before });
  }

  await step("agent-resumed", async () => {
    await workbench.front(PROMPT.slice(0, 20));
    await workbench.command("Podium: Resume Session…");
    await workbench.answer("What next?", "Thank you");
    return workbench.until("the next turn is in the same view", async (seen) => {
      const shown = await workbench.sessionText(PROMPT);
      seen(shown);
      return /You are welcome\..*completed/.test(shown) && shown;
    });
  });

  await step("agent-found", async () => {
    await workbench.command("Podium: Search Sessions…");
    await workbench.type("welcome");
    await workbench.choose(PROMPT);
    return workbench.until("the session is in front", async (seen) => {
      const tab = await workbench.activeTab();
      seen(tab);
      return tab !== null && tab.startsWith(PROMPT.slice(0, 20)) && tab;
    });
  });
}

/** What the agent changed, beside what was there: one change is taken back, the other one kept. */
async function review({ workbench, step, text, before }) {
  await step("agent-diff", async () => {
    await workbench.command("Podium: Review Changes of Session…");
    const sides = await workbench.until("both sides are shown", async (seen) => {
      const shown = await workbench.diffSides();
      seen(shown);
      return shown !== undefined && shown.now.includes("zwei") && shown;
    });
    assert.ok(!sides.before.includes("zwei"), sides.before);
  });

  await step("agent-hunk-rejected", async () => {
    const changed = text();
    assert.ok(changed.includes("zwei") && changed.includes("neunzehn"), changed);
    await workbench.titleAction("Reject Change");
    await workbench.until("the first change is gone from the file, the other one stays", async (seen) => {
      seen(text());
      return !text().includes("zwei") && text().includes("neunzehn");
    });
    await workbench.until("and from the diff", async (seen) => {
      const shown = await workbench.diffSides();
      seen(shown);
      return shown !== undefined && !shown.now.includes("zwei");
    });
    assert.equal(text(), before.map((line) => (line === "19" ? "neunzehn" : line)).join("\n"));
    await workbench.titleAction("Keep Change");
    await workbench.until("nothing is left to decide", async () => (await workbench.titleActions("Keep Change")) === 0);
  });
}

/** A pull request in a worktree of its own, and from there to another one. */
export async function places({ workbench, step, options }) {
  await step("review-opened", async () => {
    await workbench.command("Podium: Review Pull Request…");
    await workbench.answer("Number or address", String(options.agent.request));
    await workbench.row("Worktrees", /^review-7\b/);
    await workbench.answerMessage("review-7", "Open");
    return workbench.claim(/review-7: /, 60_000);
  });
  await step("switched", async () => {
    await workbench.command("Podium: Switch to Worktree…");
    await workbench.choose("feat-demo");
    return workbench.claim(/feat-demo: /, 60_000);
  });
}
