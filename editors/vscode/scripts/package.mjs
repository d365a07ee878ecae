// Packs the built extension as podium-<version>.vsix. The usual packer wants a newer Node and a network; the format is
// a zip file with two XML files, and ours comes out the same, byte by byte, for the same input.
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import path from "node:path";
import { zip } from "./zip.mjs";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const manifest = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));

/** Everything that is shipped; a folder means the files in it. */
const SHIPPED = ["package.json", "README.md", "LICENSE.txt", "dist/extension.js", "dist/session.js", "dist/third-party.txt", "media"];

const CONTENT_TYPES = {
  css: "text/css",
  json: "application/json",
  js: "application/javascript",
  md: "text/markdown",
  png: "image/png",
  svg: "image/svg+xml",
  txt: "text/plain",
  vsixmanifest: "text/xml",
};

function shippedFiles() {
  return SHIPPED.flatMap((name) => {
    if (path.extname(name) !== "") {
      return [name];
    }
    return readdirSync(path.join(root, name)).sort().map((file) => `${name}/${file}`);
  });
}

/** The manifest as an installation needs it: without what only a developer uses. */
function shippedManifest() {
  const { devDependencies, scripts, ...rest } = manifest;
  return Buffer.from(`${JSON.stringify(rest, null, 2)}\n`);
}

function escaped(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}

function vsixManifest() {
  const property = (id, value) => `      <Property Id="Microsoft.VisualStudio.${id}" Value="${escaped(value)}" />`;
  const asset = (type, at) => `    <Asset Type="Microsoft.VisualStudio.${type}" Path="extension/${at}" Addressable="true" />`;
  return `<?xml version="1.0" encoding="utf-8"?>
<PackageManifest Version="2.0.0" xmlns="http://schemas.microsoft.com/developer/vsx-schema/2011">
  <Metadata>
    <Identity Language="en-US" Id="${escaped(manifest.name)}" Version="${escaped(manifest.version)}" Publisher="${escaped(manifest.publisher)}" />
    <DisplayName>${escaped(manifest.displayName)}</DisplayName>
    <Description xml:space="preserve">${escaped(manifest.description)}</Description>
    <Tags>${escaped(manifest.keywords.join(","))}</Tags>
    <Categories>${escaped(manifest.categories.join(","))}</Categories>
    <GalleryFlags>Public</GalleryFlags>
    <Properties>
${property("Code.Engine", manifest.engines.vscode)}
${property("Code.ExtensionKind", manifest.extensionKind.join(","))}
${property("Services.Branding.Color", manifest.galleryBanner.color)}
${property("Services.Branding.Theme", manifest.galleryBanner.theme)}
    </Properties>
    <License>extension/LICENSE.txt</License>
    <Icon>extension/${escaped(manifest.icon)}</Icon>
  </Metadata>
  <Installation>
    <InstallationTarget Id="Microsoft.VisualStudio.Code" />
  </Installation>
  <Dependencies />
  <Assets>
${asset("Code.Manifest", "package.json")}
${asset("Services.Content.Details", "README.md")}
${asset("Services.Content.License", "LICENSE.txt")}
${asset("Services.Icons.Default", manifest.icon)}
  </Assets>
</PackageManifest>
`;
}

function contentTypes(files) {
  const known = new Set([...files.map((file) => path.extname(file).slice(1)), "vsixmanifest"]);
  const rows = [...known].sort().map((extension) => {
    const type = CONTENT_TYPES[extension];
    if (type === undefined) {
      throw new Error(`no content type is known for files named *.${extension}`);
    }
    return `  <Default Extension=".${extension}" ContentType="${type}" />`;
  });
  return `<?xml version="1.0" encoding="utf-8"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
${rows.join("\n")}
</Types>
`;
}

const files = shippedFiles();
const entries = [
  { name: "extension.vsixmanifest", data: Buffer.from(vsixManifest()) },
  { name: "[Content_Types].xml", data: Buffer.from(contentTypes(files)) },
  ...files.map((file) => ({
    name: `extension/${file}`,
    data: file === "package.json" ? shippedManifest() : readFileSync(path.join(root, file)),
  })),
];
const out = path.resolve(process.argv[2] ?? path.join(root, `${manifest.name}-${manifest.version}.vsix`));
mkdirSync(path.dirname(out), { recursive: true });
const archive = zip(entries);
writeFileSync(out, archive);
console.log(JSON.stringify({ vsix: out, files: entries.length, bytes: archive.length }));
