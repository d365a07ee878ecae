// Bundles the extension into dist/extension.js, or the unit tests into dist/test/.
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import path from "node:path";
import * as esbuild from "esbuild";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const wanted = new Set(process.argv.slice(2));

const shared = {
  absWorkingDir: root,
  bundle: true,
  platform: "node",
  target: "node20",
  logLevel: "warning",
};

const extension = {
  ...shared,
  entryPoints: ["src/extension.ts"],
  outfile: "dist/extension.js",
  format: "cjs",
  external: ["vscode"],
  sourcemap: wanted.has("--production") ? false : "linked",
  minify: wanted.has("--production"),
  legalComments: "none",
  metafile: true,
};

/** What runs within the session's view. */
const view = {
  ...extension,
  entryPoints: ["webview/session.ts"],
  outfile: "dist/session.js",
  platform: "browser",
  target: "es2022",
  format: "iife",
  external: [],
};

const tests = {
  ...shared,
  entryPoints: readdirSync(path.join(root, "test"))
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => `test/${name}`),
  outdir: "dist/test",
  outExtension: { ".js": ".mjs" },
  format: "esm",
  sourcemap: "inline",
};

if (wanted.has("--tests")) {
  // A test whose source is gone must not go on passing.
  rmSync(path.join(root, "dist/test"), { recursive: true, force: true });
  await esbuild.build(tests);
} else if (wanted.has("--watch")) {
  for (const options of [extension, view]) {
    await (await esbuild.context(options)).watch();
  }
} else {
  await esbuild.build(view);
  const { metafile } = await esbuild.build(extension);
  writeFileSync(path.join(root, "dist/third-party.txt"), notices(Object.keys(metafile.inputs)));
}

/** Licences of the packages whose code is in the bundle, as they ask for. */
function notices(inputs) {
  const folders = new Set(inputs.map((input) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input)?.[0]).filter(Boolean));
  return [...folders].sort().map(notice).join(`\n${"-".repeat(80)}\n\n`);
}

function notice(folder) {
  const { name, version, license } = JSON.parse(readFileSync(path.join(root, folder, "package.json"), "utf8"));
  const file = ["LICENSE", "LICENSE.txt", "LICENSE.md", "LICENSE-MIT.txt", "License.txt", "license"].find((known) => existsSync(path.join(root, folder, known)));
  if (file === undefined) {
    throw new Error(`${name} is bundled, but has no licence file`);
  }
  return `${name} ${version} (${license})\n\n${readFileSync(path.join(root, folder, file), "utf8").trim()}\n`;
}
