// SPDX-License-Identifier: MIT
// Chip: what stands in its flash, judged from a few sectors of it, as earlid/flash/foreign.py does.
import { tables } from "../../build/web-tables.mjs";

const { everyonesFile, lookBytes, ownFile, vfsLabel } = tables.foreign;
const DESCRIPTION = { offset: 32, magic: 0xabcd5432, version: 16, name: 48, length: 32 };
const SUPERBLOCK = "littlefs"; // stands at byte 8 of either of a file system's first two blocks
const BANNER = /MicroPython v\d+\.\d+[-\w.]* on \d{4}-\d\d-\d\d/;
const [NAMELESS, SILENT] = ["a program without a name", "a program that does not say its name"];
const TEXT_MAX = 40;

const latin = (bytes) => String.fromCharCode(...bytes);
const isErased = (bytes) => bytes.every((byte) => byte === 0xff);

// A foreign text for people: nothing in it moves a cursor or turns letters round.
export function plain(text, most = TEXT_MAX) {
  const shown = text.length <= most ? text : `${text.slice(0, most - 1)}…`;
  return shown.replace(/[^\P{C}]|[^\P{Z} ]/gu, (character) => `\\u{${character.codePointAt(0).toString(16)}}`);
}

// The program that an application's image names; empty when there is no such image. `application`: the beginning of it.
export function programOf(application) {
  if (application[0] !== 0xe9) return "";
  if (BANNER.test(latin(application))) return "MicroPython"; // its releases have no name in the header
  const view = new DataView(application.buffer, application.byteOffset, application.byteLength);
  if (application.length < lookBytes || view.getUint32(DESCRIPTION.offset, true) !== DESCRIPTION.magic) {
    return SILENT;
  }
  const text = (at) => latin(application.subarray(DESCRIPTION.offset + at, DESCRIPTION.offset + at + DESCRIPTION.length)).split("\0")[0];
  const name = text(DESCRIPTION.name);
  if (name === "micropython") return "MicroPython";
  if (name === "arduino-lib-builder") return "an Arduino program";
  return plain(`${name} ${text(DESCRIPTION.version)}`.trim() || NAMELESS);
}

// Whether more of it is to be read: MicroPython's releases have their name only in their banner, further on.
export const isNameless = (application) => [NAMELESS, SILENT].includes(programOf(application));

// {offset, bytes} of MicroPython's file system: the partition `vfs`, or all that is free behind the last one; null where the table is
// none. In ESP-IDF's format: entries of 32 bytes, then another magic number.
export function fileSystem(table, flashBytes) {
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  let end = 0;
  for (let at = 0; at + 32 <= table.length && view.getUint16(at, true) === 0x50aa; at += 32) {
    const [offset, bytes] = [view.getUint32(at + 4, true), view.getUint32(at + 8, true)];
    if (latin(table.subarray(at + 12, at + 28)).split("\0")[0] === vfsLabel) return offset + bytes <= flashBytes ? { offset, bytes } : null;
    end = Math.max(end, offset + bytes);
  }
  return end && end < flashBytes ? { offset: end, bytes: flashBytes - end } : null;
}

// What is lost when the chip is written: {found, program}; found is `empty`, `micropython`, `earlid` or `foreign`.
// `root`: the first two blocks of the file system, in which the names of the files in its root stand as they are, until littlefs
// moves the root because these blocks are worn: where not even MicroPython's own boot.py is seen, it may be an Earlid's.
export function whatIsThere(loader, application, root) {
  const names = latin(root);
  if (names.includes(SUPERBLOCK) && names.includes(ownFile)) return { found: "earlid", program: "Earlid" };
  if (names.includes(SUPERBLOCK) && !names.includes(everyonesFile)) return { found: "earlid", program: "" };
  if (isErased(loader)) return { found: "empty", program: "" };
  const program = programOf(application);
  if (program === "MicroPython") return { found: "micropython", program };
  return { found: "foreign", program: program || "something that is no program of a usual place" };
}
