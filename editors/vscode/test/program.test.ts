import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { after, test } from "node:test";
import { findProgram, ownNames, serverEnvironment } from "../src/program";

const folder = mkdtempSync(path.join(os.tmpdir(), "podium-test-"));
after(() => rmSync(folder, { recursive: true }));

function program(...parts: string[]): string {
  const file = path.join(folder, ...parts);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, "#!/bin/sh\n");
  chmodSync(file, 0o755);
  return file;
}

test("a name is looked up in PATH and then where cargo installs", () => {
  const inPath = program("bin", "podium");
  const inCargo = program("home", ".cargo", "bin", "podium");
  const HOME = path.join(folder, "home");
  assert.equal(findProgram("podium", { PATH: `/nowhere:${path.dirname(inPath)}`, HOME }), inPath);
  assert.equal(findProgram("podium", { PATH: "/nowhere", HOME }), inCargo);
  assert.equal(findProgram("podium", { PATH: "/nowhere", HOME: "/nowhere" }), undefined);
});

test("an absolute path and the home folder are taken as they are", () => {
  const file = program("home", "own", "podium");
  assert.equal(findProgram(file, {}), file);
  assert.equal(findProgram("~/own/podium", { HOME: path.join(folder, "home") }), file);
  assert.equal(findProgram(path.join(folder, "home"), {}), undefined);
});

test("a relative path is never run: it would depend on the open folder", () => {
  program("bin", "podium");
  assert.equal(findProgram("./podium", { PATH: path.join(folder, "bin") }), undefined);
  assert.equal(findProgram("podium", { PATH: `.:bin`, HOME: "/nowhere" }), undefined);
});

test("a file that cannot be executed is no program", () => {
  const file = program("plain", "podium");
  chmodSync(file, 0o644);
  assert.equal(findProgram(file, {}), undefined);
});

test("the server gets home and agent from the settings, else from its surroundings", () => {
  const env = { HOME: "/home/alice", PODIUM_AGENT_ID: "outer", GONE: undefined };
  assert.deepEqual(serverEnvironment(env, "", ""), { HOME: "/home/alice", PODIUM_AGENT_ID: "outer" });
  assert.deepEqual(serverEnvironment(env, "~/p", "me"), { HOME: "/home/alice", PODIUM_HOME: "/home/alice/p", PODIUM_AGENT_ID: "me" });
});

test("claims are one's own by the agent's name, else by the person's", () => {
  assert.deepEqual([...ownNames({ PODIUM_AGENT_ID: "outer" }, "")], ["outer"]);
  assert.deepEqual([...ownNames({ PODIUM_AGENT_ID: "outer" }, "me")], ["me"]);
  assert.match([...ownNames({}, "")][0] ?? "", /^person:.+@.+$/);
});
