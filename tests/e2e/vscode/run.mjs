// Drives the packaged extension in a real VS Code in a real browser. See README.md for its argument and its output.
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { startCodeServer } from "./codeServer.mjs";
import { scenario } from "./scenario.mjs";
import { Workbench } from "./workbench.mjs";

const BROWSER_FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const COMMAND_LIMIT_MS = 60_000;

const options = readOptions(process.argv[2]);
const folder = mkdtempSync(path.join(os.tmpdir(), "podium-vscode-"));
const cleanups = [() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 })];
let page;

process.exitCode = await main();

async function main() {
  const started = Date.now();
  let failure;
  try {
    mkdirSync(options.screenshotDir, { recursive: true });
    await drive();
  } catch (error) {
    failure = error;
  }
  for (const cleanup of cleanups.reverse()) {
    try {
      await cleanup();
    } catch (error) {
      failure ??= error;
    }
  }
  say({ type: "end", ok: failure === undefined, ms: Date.now() - started, ...(failure ? { error: String(failure.stack ?? failure) } : {}) });
  return failure === undefined ? 0 : 1;
}

async function drive() {
  const started = await step("start", async () => {
    const server = await startCodeServer({
      node: options.node,
      entry: options.codeServerEntry,
      vsix: options.vsix,
      folder,
      // As from a shell: else the server asks a login shell for its environment, and PATH is no longer ours.
      env: { ...options.env, VSCODE_CLI: "1" },
      settings: options.settings ?? {},
    });
    cleanups.push(server.stop);
    return { workbench: await openBrowser(server.url), url: server.url, languageServers: server.languageServers };
  });
  await scenario({ ...started, step, run, options });
}

async function openBrowser(url) {
  const { chromium } = await import(pathToFileURL(path.join(options.playwrightCore, "index.mjs")).href);
  const browser = await chromium.launch({ executablePath: options.chromium, args: BROWSER_FLAGS, env: options.env });
  cleanups.push(() => browser.close());
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: url });
  page = await context.newPage();
  page.setDefaultTimeout(30_000);
  return new Workbench(page);
}

/** Runs one step, keeps a picture of how it ended, and says so on a line. */
async function step(name, run) {
  const started = Date.now();
  try {
    const result = await run();
    const shot = await picture(name);
    say({ type: "step", name, ok: true, ms: Date.now() - started, ...(shot ? { screenshot: shot } : {}), ...detailOf(result) });
    return result;
  } catch (error) {
    const shot = await picture(`${name}-failed`);
    say({ type: "step", name, ok: false, ms: Date.now() - started, error: error.message, ...(shot ? { screenshot: shot } : {}) });
    throw error;
  }
}

function detailOf(result) {
  return typeof result === "string" ? { detail: result } : {};
}

async function picture(name) {
  if (page === undefined || page.isClosed() || page.url() === "about:blank") {
    return undefined;
  }
  const file = path.join(options.screenshotDir, `vscode-${name}.png`);
  try {
    await page.screenshot({ path: file });
    return file;
  } catch {
    return undefined;
  }
}

/** A command line beside the editor; its `data`. Fails when the command does. */
function run(program, args, cwd = options.workspace) {
  return new Promise((resolve, reject) => {
    execFile(program, args, { cwd, env: options.env, timeout: COMMAND_LIMIT_MS, maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
      const said = `${program} ${args.join(" ")}: ${stdout}${stderr}`;
      try {
        const answer = JSON.parse(stdout);
        if (answer.success) resolve(answer.data);
        else reject(new Error(said));
      } catch {
        reject(new Error(error === null ? `no JSON from ${said}` : `${error.message}: ${said}`));
      }
    });
  });
}

function say(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function readOptions(argument) {
  if (argument === undefined) {
    throw new Error("give the options as one JSON argument, or @FILE");
  }
  const given = JSON.parse(argument.startsWith("@") ? readFileSync(argument.slice(1), "utf8") : argument);
  for (const key of ["codeServerEntry", "node", "chromium", "playwrightCore", "vsix", "workspace", "env", "screenshotDir"]) {
    if (given[key] === undefined) {
      throw new Error(`the option \`${key}\` is missing`);
    }
  }
  return given;
}
