// Writes zip archives: enough of the format for a .vsix, with nothing in it that differs from run to run.
import * as zlib from "node:zlib";

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const VERSION = 20;
const DEFLATE = 8;
const UTF8_NAMES = 0x0800;
// 1980-01-01 00:00, the oldest time that the format can say.
const DOS_DATE = 0x0021;
const DOS_TIME = 0;
const REGULAR_FILE = (0o100644 << 16) >>> 0;

/**
 * @param {{ name: string, data: Buffer }[]} entries in the order they shall have
 * @returns {Buffer} the archive; throws a RangeError where it would need the 64-bit extension of the format
 */
export function zip(entries) {
  const parts = [];
  const directory = [];
  let offset = 0;
  for (const { name, data } of entries) {
    const bytes = Buffer.from(name, "utf8");
    const packed = zlib.deflateRawSync(data, { level: 9 });
    const facts = { crc: crc32(data), packed: packed.length, size: data.length, name: bytes };
    const head = localHeader(facts);
    parts.push(head, bytes, packed);
    directory.push(centralHeader(facts, offset), bytes);
    offset += head.length + bytes.length + packed.length;
  }
  if (offset > 0xffff_ffff || entries.length > 0xffff) {
    throw new RangeError("the archive is too large for a plain zip file");
  }
  const central = Buffer.concat(directory);
  return Buffer.concat([...parts, central, endRecord(entries.length, central.length, offset)]);
}

function localHeader({ crc, packed, size, name }) {
  const head = Buffer.alloc(30);
  head.writeUInt32LE(LOCAL, 0);
  head.writeUInt16LE(VERSION, 4);
  writeShared(head, 6, { crc, packed, size, name });
  return head;
}

function centralHeader({ crc, packed, size, name }, offset) {
  const head = Buffer.alloc(46);
  head.writeUInt32LE(CENTRAL, 0);
  // "Made by" Unix, so that the mode below is understood.
  head.writeUInt16LE((3 << 8) | VERSION, 4);
  head.writeUInt16LE(VERSION, 6);
  writeShared(head, 8, { crc, packed, size, name });
  head.writeUInt32LE(REGULAR_FILE, 38);
  head.writeUInt32LE(offset, 42);
  return head;
}

/** The run of fields that both kinds of header have, from the flags to the length of the extra field. */
function writeShared(head, at, { crc, packed, size, name }) {
  head.writeUInt16LE(UTF8_NAMES, at);
  head.writeUInt16LE(DEFLATE, at + 2);
  head.writeUInt16LE(DOS_TIME, at + 4);
  head.writeUInt16LE(DOS_DATE, at + 6);
  head.writeUInt32LE(crc, at + 8);
  head.writeUInt32LE(packed, at + 12);
  head.writeUInt32LE(size, at + 16);
  head.writeUInt16LE(name.length, at + 20);
}

function endRecord(count, size, offset) {
  const end = Buffer.alloc(22);
  end.writeUInt32LE(END, 0);
  end.writeUInt16LE(count, 8);
  end.writeUInt16LE(count, 10);
  end.writeUInt32LE(size, 12);
  end.writeUInt32LE(offset, 16);
  return end;
}

/** Node has it built in since 20.15; a table does the same before. */
export function crc32(data) {
  if (typeof zlib.crc32 === "function") {
    return zlib.crc32(data);
  }
  let crc = 0xffff_ffff;
  for (const byte of data) {
    crc = (crc >>> 8) ^ TABLE[(crc ^ byte) & 0xff];
  }
  return (crc ^ 0xffff_ffff) >>> 0;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit += 1) {
    value = value & 1 ? (value >>> 1) ^ 0xedb8_8320 : value >>> 1;
  }
  return value >>> 0;
});
