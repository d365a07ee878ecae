// VS Code's server on a loopback port of its own, with the extension installed and its own user folder.
import { execFileSync, spawn } from "node:child_process";
import { createWriteStream, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";

const INSTALL_LIMIT_MS = 90_000;
const LISTEN_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 10_000;

const SETTINGS = {
  "security.workspace.trust.enabled": false,
  "telemetry.telemetryLevel": "off",
  "update.mode": "none",
  "extensions.autoUpdate": false,
  "extensions.autoCheckUpdates": false,
  "workbench.startupEditor": "none",
  "workbench.tips.enabled": false,
  "workbench.colorTheme": "Default Dark Modern",
  "window.commandCenter": false,
  "editor.minimap.enabled": false,
  // Both sides, however narrow they are.
  "diffEditor.useInlineViewWhenSpaceIsLimited": false,
  "git.openRepositoryInParentFolders": "never",
};

/** Installs the .vsix and starts the server; `stop` ends it with everything it started. */
export async function startCodeServer({ node, entry, vsix, folder, env, settings }) {
  const data = path.join(folder, "data");
  const extensions = path.join(folder, "extensions");
  mkdirSync(path.join(data, "User"), { recursive: true });
  mkdirSync(extensions, { recursive: true });
  writeFileSync(path.join(data, "User", "settings.json"), JSON.stringify({ ...SETTINGS, ...settings }, null, 2));
  const shared = [entry, "--user-data-dir", data, "--extensions-dir", extensions, "--config", path.join(folder, "config.yaml")];
  writeFileSync(path.join(folder, "config.yaml"), "{}\n");

  await finished(spawnGroup(node, [...shared, "--install-extension", vsix], env, path.join(folder, "install.log")), INSTALL_LIMIT_MS);
  const quiet = ["--auth", "none", "--disable-telemetry", "--disable-update-check", "--disable-getting-started-override"];
  const server = spawnGroup(node, [...shared, ...quiet, "--bind-addr", "127.0.0.1:0"], env, path.join(folder, "server.log"));
  const stop = () => stopGroup(server);
  try {
    return { url: await listening(server), stop, languageServers: () => languageServers(server.pid) };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Process ids of the `podium lsp` that the extension started: those of the server's own process group. */
function languageServers(group) {
  const rows = execFileSync("ps", ["-A", "-o", "pid=,pgid=,args="], { encoding: "utf8" }).split("\n");
  return rows
    .map((row) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(row))
    .filter((row) => row !== null && Number(row[2]) === group && /podium(\.mjs)? lsp$/.test(row[3]))
    .map((row) => Number(row[1]));
}

function spawnGroup(node, args, env, log) {
  const child = spawn(node, args, { env, stdio: ["ignore", "pipe", "pipe"], detached: true });
  const out = createWriteStream(log);
  child.output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk) => {
      child.output += chunk;
      out.write(chunk);
    });
  }
  return child;
}

function finished(child, limit) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      void stopGroup(child);
      reject(new Error(`installing the extension took more than ${limit / 1000} s\n${child.output}`));
    }, limit);
    child.on("error", reject);
    child.on("exit", (code) => {
      clearTimeout(timer);
      if (code === 0) resolve();
      else reject(new Error(`installing the extension ended with ${code}\n${child.output}`));
    });
  });
}

function listening(child) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`VS Code's server does not listen\n${child.output}`)), LISTEN_LIMIT_MS);
    const look = () => {
      const url = /listening on (http:\/\/127\.0\.0\.1:\d+)/.exec(child.output)?.[1];
      if (url !== undefined) {
        clearTimeout(timer);
        resolve(url);
      }
    };
    child.stdout.on("data", look);
    child.stderr.on("data", look);
    child.on("exit", (code) => reject(new Error(`VS Code's server ended with ${code}\n${child.output}`)));
  });
}

/** The whole group: the server starts extension hosts and they start language servers. */
async function stopGroup(child) {
  const gone = new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.on("exit", resolve);
  });
  signal(child.pid, "SIGTERM");
  const patience = setTimeout(() => signal(child.pid, "SIGKILL"), STOP_LIMIT_MS);
  await gone;
  clearTimeout(patience);
  signal(child.pid, "SIGKILL");
}

function signal(group, name) {
  try {
    process.kill(-group, name);
  } catch {
    // Nobody of the group is left.
  }
}
