// The parts of VS Code's window that the steps touch, by what a person sees of them.

const QUICK_INPUT = ".quick-input-widget";

export class Workbench {
  constructor(page) {
    this.page = page;
  }

  /** Waits until `probe` gives something other than undefined or false. */
  async until(what, probe, limit = 30_000) {
    const end = Date.now() + limit;
    let last;
    for (;;) {
      const found = await probe((seen) => (last = seen));
      if (found !== undefined && found !== false) return found;
      if (Date.now() > end) throw new Error(`${what}: not within ${limit / 1000} s; last seen: ${JSON.stringify(last)}`);
      // tidy-allow(sleep): a bounded poll of a window that cannot tell
      await this.page.waitForTimeout(40);
    }
  }

  /** Opens a folder with one of its files in front. Not by searching for it: that takes a search tool that is not shipped. */
  async open(url, folder, file) {
    const remote = `vscode-remote://${new URL(url).host}${encodeURI(`${folder}/${file}`)}`;
    const payload = encodeURIComponent(JSON.stringify([["openFile", remote]]));
    await this.page.goto(`${url}/?folder=${encodeURIComponent(folder)}&payload=${payload}`);
    await this.page.locator(".monaco-workbench .statusbar").waitFor({ timeout: 60_000 });
    await this.page.locator(".tab.active", { hasText: file.split("/").at(-1) }).waitFor({ timeout: 60_000 });
  }

  async claimText() {
    const item = this.page.locator('.statusbar-item[id$="podium.claim"]');
    return (await item.count()) === 0 ? undefined : (await item.first().innerText()).replace(/\s+/g, " ").trim();
  }

  /** Background of the claim indicator, as CSS says it. */
  claimBackground() {
    return this.page.locator('.statusbar-item[id$="podium.claim"]').first().evaluate((item) => getComputedStyle(item).backgroundColor);
  }

  claim(expected, limit) {
    return this.until(`the claim indicator shows ${expected}`, async (seen) => {
      const text = await this.claimText();
      seen(text);
      return text !== undefined && expected.test(text) && text;
    }, limit);
  }

  async showPodium() {
    if ((await this.page.locator(".pane-header:has-text('Worktrees')").count()) === 0) {
      await this.page.locator(".activitybar a.action-label[aria-label^='Podium']").first().click();
    }
    await this.page.locator(".pane-header:has-text('Worktrees')").waitFor();
  }

  /** Texts of the rows of one of Podium's lists. */
  rows(title) {
    const rows = this.page.locator(`.pane:has(.pane-header:has-text("${title}")) .monaco-list-row`);
    return rows.evaluateAll((found) =>
      found.map((row) => [...row.querySelectorAll(".label-name, .label-description")].map((part) => part.textContent).join(" ")),
    );
  }

  row(title, expected) {
    return this.until(`a row of ${title} shows ${expected}`, async (seen) => {
      const rows = (await this.rows(title)).map((text) => text.replace(/\s+/g, " ").trim());
      seen(rows);
      return rows.find((text) => expected.test(text));
    });
  }

  /** Waits until the editor marks a range as a warning, or marks none any more. */
  warnings(marked) {
    return this.until(marked ? "a range is marked" : "no range is marked", async (seen) => {
      const count = await this.page.locator(".monaco-editor .squiggly-warning").count();
      seen(count);
      return count > 0 === marked && "as expected";
    });
  }

  /** Takes a command from the palette. A webview that was just shown may take the focus, which closes the palette: then once more. */
  command(title) {
    const row = this.page.locator(`${QUICK_INPUT} .monaco-list-row`, { hasText: title }).first();
    return this.until(`the palette has ${title}`, async () => {
      try {
        await this.page.keyboard.press("F1");
        await this.page.locator(QUICK_INPUT).waitFor({ state: "visible", timeout: 5000 });
        await this.page.keyboard.insertText(title);
        await row.click({ timeout: 5000 });
        return "taken";
      } catch {
        await this.page.keyboard.press("Escape");
        return undefined;
      }
    });
  }

  quickInput() {
    return this.page.locator(QUICK_INPUT).waitFor({ state: "visible" });
  }

  /** Waits for a quick pick's entry and takes it. */
  async choose(text) {
    const row = this.page.locator(`${QUICK_INPUT} .monaco-list-row`, { hasText: text }).first();
    await row.waitFor();
    await row.click();
  }

  /** Waits for an input box whose text matches, and answers it. */
  async answer(expected, text) {
    await this.page.locator(QUICK_INPUT, { hasText: expected }).waitFor();
    await this.type(text);
    await this.page.keyboard.press("Enter");
  }

  async type(text) {
    await this.quickInput();
    await this.page.locator(`${QUICK_INPUT} input`).first().fill(text);
  }

  /** Whole text of the editor in front. It renders only what is in sight, so it is copied. */
  async documentText() {
    await this.command("View: Focus Active Editor Group");
    await this.page.keyboard.press("Control+A");
    await this.page.keyboard.press("Control+C");
    return this.page.evaluate(() => navigator.clipboard.readText());
  }

  /** Brings an open editor to the front and selects all of it. */
  async selectAllOf(tab) {
    await this.page.locator(".tab", { hasText: tab }).first().click();
    await this.page.locator(".tab.active", { hasText: tab }).first().waitFor();
    await this.page.keyboard.press("Control+A");
  }

  /** Takes one of the code actions for the selection. */
  async codeAction(expected) {
    await this.page.keyboard.press("Control+.");
    await this.page.locator(".action-widget .monaco-list-row", { hasText: expected }).first().waitFor();
    // By key: a transparent layer over the menu takes the clicks.
    await this.until(`the code action ${expected} is focused`, async (seen) => {
      const focused = await this.page.locator(".action-widget .monaco-list-row.focused").allInnerTexts();
      seen(focused);
      if (focused.some((text) => expected.test(text))) return true;
      await this.page.keyboard.press("ArrowDown");
      return false;
    });
    await this.page.keyboard.press("Enter");
  }

  /** What is in sight of the editor in front, on one line: where lines wrap depends on the width. */
  async visibleText() {
    const lines = this.page.locator(".editor-group-container.active .monaco-editor .view-lines");
    return (await lines.count()) === 0 ? "" : (await lines.first().innerText()).replace(/\s+/g, " ");
  }

  /** Waits for a code lens of the editor in front. */
  lens(title) {
    return this.page.locator(".editor-group-container.active .codelens-decoration", { hasText: title }).first().waitFor();
  }

  /** The page within the view of a session whose title begins so; the views of others are there too, out of sight. */
  async sessionPage(title) {
    for (const frame of this.page.frames()) {
      try {
        const shown = await frame.evaluate(() => document.querySelector("#head h1")?.textContent ?? null);
        if (shown !== null && shown.startsWith(title)) return frame;
      } catch {
        // It is being loaded, or gone.
      }
    }
    return undefined;
  }

  /** What a session's view shows, on one line; empty while there is none. */
  async sessionText(title) {
    const frame = await this.sessionPage(title);
    const text = (await frame?.evaluate(() => document.body.innerText).catch(() => "")) ?? "";
    return text.replace(/\s+/g, " ");
  }

  /** Presses a button of a session's view. */
  async press(title, action) {
    const frame = await this.sessionPage(title);
    await frame.locator(`button[data-action="${action}"]`).last().click();
  }

  /** Text of one of Podium's items of the status bar. */
  async statusText(id) {
    const item = this.page.locator(`.statusbar-item[id$="${id}"]`);
    return (await item.count()) === 0 ? "" : (await item.first().innerText()).replace(/\s+/g, " ").trim();
  }

  /** Texts of the messages in the corner of the window. */
  async messages() {
    return (await this.page.locator(".notifications-toasts .notification-list-item-message").allInnerTexts()).map((text) => text.trim());
  }

  /** Presses a button of a message in the corner. */
  async answerMessage(text, button) {
    const toast = this.page.locator(".notifications-toasts .notification-toast", { hasText: text });
    await toast.locator(".monaco-button, .monaco-text-button", { hasText: button }).first().click();
  }

  /** Brings the tab that begins so to the front. */
  async front(tab) {
    await this.page.locator(".tab", { hasText: tab }).first().click();
    await this.page.locator(".tab.active", { hasText: tab }).first().waitFor();
  }

  /** Presses an action in the title of the editor in front. */
  async titleAction(label) {
    await this.page.locator(`.editor-group-container.active .editor-actions a.action-label[aria-label^="${label}"]`).first().click();
  }

  titleActions(label) {
    return this.page.locator(`.editor-group-container.active .editor-actions a.action-label[aria-label^="${label}"]`).count();
  }

  /** Texts of both sides of the diff in front. */
  async diffSides() {
    const side = (name) => this.page.locator(`.editor-group-container.active .monaco-diff-editor .editor.${name} .view-lines`).first();
    if ((await side("original").count()) === 0) return undefined;
    const text = async (name) => (await side(name).innerText()).replaceAll("\u00a0", " ");
    return { before: await text("original"), now: await text("modified") };
  }

  activeTab() {
    return this.page.locator(".editor-group-container.active .tab.active").first().getAttribute("aria-label");
  }
}
