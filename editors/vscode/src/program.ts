/** Finds the `podium` program, so that its absence can be explained before anything is started. */

import { accessSync, constants, statSync } from "node:fs";
import * as os from "node:os";
import * as path from "node:path";

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * @param program a name to look up in `PATH`, or a path; `~/` is the home folder
 * @returns the absolute path, or undefined when there is no such executable file
 */
export function findProgram(program: string, env: Environment, platform: NodeJS.Platform = process.platform): string | undefined {
  const named = program.startsWith("~/") ? path.join(env["HOME"] ?? os.homedir(), program.slice(2)) : program;
  const endings = platform === "win32" ? ["", ...(env["PATHEXT"] ?? ".EXE;.CMD").split(";")] : [""];
  // A relative path would depend on the folder that happens to be open, so only names are looked up.
  const folders = path.isAbsolute(named) ? [""] : /[\\/]/.test(named) ? [] : searchPath(env);
  for (const folder of folders) {
    for (const ending of endings) {
      const file = path.join(folder, named + ending);
      if (isExecutable(file)) {
        return file;
      }
    }
  }
  return undefined;
}

/** `PATH`, then where `cargo install` puts programs: editors started from a desktop often lack it. */
function searchPath(env: Environment): string[] {
  const home = env["HOME"] ?? os.homedir();
  const cargo = path.join(env["CARGO_HOME"] ?? path.join(home, ".cargo"), "bin");
  return [...(env["PATH"] ?? env["Path"] ?? "").split(path.delimiter).filter((folder) => path.isAbsolute(folder)), cargo];
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

/** The environment of the language server. */
export function serverEnvironment(env: Environment, home: string, agentId: string): Record<string, string> {
  const own: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value !== undefined) {
      own[name] = value;
    }
  }
  if (home !== "") {
    own["PODIUM_HOME"] = home.startsWith("~/") ? path.join(env["HOME"] ?? os.homedir(), home.slice(2)) : home;
  }
  if (agentId !== "") {
    own["PODIUM_AGENT_ID"] = agentId;
  }
  return own;
}

/** The names under which this editor's claims are held, as far as they can be known without asking. */
export function ownNames(env: Environment, agentId: string): Set<string> {
  const agent = agentId || env["PODIUM_AGENT_ID"];
  return new Set(agent ? [agent] : [`person:${userName(env)}@${os.hostname()}`]);
}

function userName(env: Environment): string {
  try {
    return os.userInfo().username;
  } catch {
    return env["USER"] ?? env["USERNAME"] ?? "unknown";
  }
}
