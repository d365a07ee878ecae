// Holds package.json and the sources together: what one names, the other must have.
import { readFileSync, readdirSync, existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import path from "node:path";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const manifest = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));
const lock = JSON.parse(readFileSync(path.join(root, "package-lock.json"), "utf8"));
const sources = readdirSync(path.join(root, "src"), { recursive: true })
  .filter((name) => name.endsWith(".ts") && name !== "protocol.ts")
  .map((name) => ({ name, text: readFileSync(path.join(root, "src", name), "utf8") }));
const faults = [];

const declared = new Set(manifest.contributes.commands.map((command) => command.command));
const used = new Set(sources.flatMap(({ text }) => [...text.matchAll(/"(podium\.ui\.[A-Za-z.]*[A-Za-z])"/g)].map((hit) => hit[1])));
for (const id of declared) {
  if (!used.has(id)) faults.push(`command ${id} is declared, but no source names it`);
  if (!id.startsWith("podium.ui.")) faults.push(`command ${id} must be named podium.ui.*: the server owns the other names`);
}
for (const id of used) {
  if (!declared.has(id)) faults.push(`command ${id} is used, but not declared`);
}
for (const [place, items] of Object.entries(manifest.contributes.menus)) {
  for (const item of items) {
    if (!declared.has(item.command)) faults.push(`menu ${place} names the unknown command ${item.command}`);
  }
}
for (const welcome of manifest.contributes.viewsWelcome) {
  for (const [, id] of welcome.contents.matchAll(/\(command:(podium\.[A-Za-z.]+)\)/g)) {
    if (!declared.has(id)) faults.push(`a welcome text names the unknown command ${id}`);
  }
}
const settings = Object.keys(manifest.contributes.configuration.properties).map((key) => key.slice("podium.".length));
const config = sources.find(({ name }) => name === "settings.ts").text;
for (const key of settings.filter((name) => name !== "trace.server")) {
  if (!config.includes(`"${key}"`)) faults.push(`setting podium.${key} is declared, but src/settings.ts does not read it`);
}
for (const file of [manifest.icon, "README.md", "LICENSE.txt"]) {
  if (!existsSync(path.join(root, file))) faults.push(`${file} is missing`);
}
for (const { name, text } of sources) {
  text.split("\n").forEach((line, index) => {
    const at = `src/${name}:${index + 1}`;
    if (/\b(any)\b\s*[;,)>\]=|]|as any/.test(line.replace(/\/\/.*|\/\*.*|\*.*/, ""))) faults.push(`${at}: no \`any\``);
    if (/console\.|debugger|@ts-(ignore|nocheck|expect-error)/.test(line)) faults.push(`${at}: ${line.trim()}`);
    if (line.length > 140) faults.push(`${at}: longer than 140 characters`);
  });
}
for (const [name, entry] of Object.entries(lock.packages)) {
  if (entry.resolved !== undefined) faults.push(`package-lock.json says where ${name} was downloaded from`);
}
if (lock.version !== manifest.version) faults.push("package-lock.json has another version than package.json");

for (const fault of faults) console.error(fault);
process.exitCode = faults.length === 0 ? 0 : 1;
