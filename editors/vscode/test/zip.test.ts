import assert from "node:assert/strict";
import { test } from "node:test";
import { inflateRawSync } from "node:zlib";
import { crc32, zip } from "../scripts/zip.mjs";

test("an archive gives back what was put in, and is the same every time", () => {
  const entries = [
    { name: "extension/a.txt", data: Buffer.from("hello ".repeat(100)) },
    { name: "[Content_Types].xml", data: Buffer.from("<Types/>") },
    { name: "extension/ü.md", data: Buffer.alloc(0) },
  ];
  const archive = zip(entries);
  assert.deepEqual(archive, zip(entries));
  assert.deepEqual(read(archive), entries.map(({ name, data }) => ({ name, text: data.toString() })));
});

test("the checksum is the one that zip files use", () => {
  assert.equal(crc32(Buffer.from("123456789")), 0xcbf43926);
});

/** Reads an archive by its central directory, as programs do. */
function read(archive: Buffer): { name: string; text: string }[] {
  const end = archive.length - 22;
  assert.equal(archive.readUInt32LE(end), 0x06054b50);
  let at = archive.readUInt32LE(end + 16);
  return Array.from({ length: archive.readUInt16LE(end + 8) }, () => {
    assert.equal(archive.readUInt32LE(at), 0x02014b50);
    const [packed, length, header] = [archive.readUInt32LE(at + 20), archive.readUInt16LE(at + 28), archive.readUInt32LE(at + 42)];
    const name = archive.subarray(at + 46, at + 46 + length).toString();
    const start = header + 30 + archive.readUInt16LE(header + 26) + archive.readUInt16LE(header + 28);
    const data = inflateRawSync(archive.subarray(start, start + packed));
    assert.equal(crc32(data), archive.readUInt32LE(at + 16));
    at += 46 + length;
    return { name, text: data.toString() };
  });
}
