// SPDX-License-Identifier: MIT
// The wire (firmware/PROTOCOL.md): one line is #<seq> <json>*<crc32>. Decodes any bytes; gives what lid.wire's decoder gives.
import { tables } from "../../build/web-tables.mjs";

const { lineMax, seqWrap, textMax } = tables.wire;
const TRIES = 4; // of one line, how many beginnings are tried
const [HASH, NEWLINE, RETURN] = [35, 10, 13];

const CRC = Uint32Array.from({ length: 256 }, (_, value) => {
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC[(crc ^ byte) & 255] ^ (crc >>> 8);
  return ((crc ^ 0xffffffff) >>> 0).toString(16).padStart(8, "0");
}

export function encode(seq, body) {
  const text = `${seq % seqWrap} ${JSON.stringify(body)}`;
  return `#${text}*${crc32(new TextEncoder().encode(text))}`;
}

// {seq, body} of one line without its newline, or null.
export function decode(line) {
  if (line.length < 14 || line[0] !== HASH || !line.every((byte) => byte >= 32 && byte <= 126)) return null;
  const text = String.fromCharCode(...line);
  if (text.at(-9) !== "*" || text.slice(-8) !== crc32(line.subarray(1, -9))) return null;
  const match = /^#(\d{1,6}) (.*)$/.exec(text.slice(0, -9));
  try {
    const body = match && JSON.parse(match[2]);
    return body && typeof body === "object" && !Array.isArray(body) ? { seq: Number(match[1]), body } : null;
  } catch {
    return null;
  }
}

// Cuts lines out of a stream of bytes; what is no frame is counted and skipped.
export class Decoder {
  #line = new Uint8Array(lineMax);
  #used = 0;
  #skipping = false;
  badLines = 0;

  feed(data) {
    const frames = [];
    for (const byte of data) {
      if (byte === HASH && !(this.#used && this.#line[0] === HASH)) {
        this.#used = 0;
        this.#skipping = false;
      }
      if (byte === NEWLINE) {
        if (!this.#skipping && this.#used && this.#line[0] === HASH) this.#decodeLine(frames);
        this.#used = 0;
        this.#skipping = false;
      } else if (byte !== RETURN && !this.#skipping) {
        if (this.#used === lineMax) {
          this.badLines += 1;
          this.#used = 0;
          this.#skipping = true;
        } else this.#line[this.#used++] = byte;
      }
    }
    return frames;
  }

  // A frame cut short and another behind it: tried again from the last few '#' that a number and " {" follow.
  #decodeLine(frames) {
    const line = this.#line.subarray(0, this.#used);
    let start = 0;
    let at = line.length;
    for (let tries = 0; tries < TRIES; tries += 1) {
      const frame = start >= 0 && decode(line.subarray(start));
      if (frame) return frames.push(frame);
      do at -= 1; while (at >= 0 && !(line[at] === 32 && line[at + 1] === 123));
      if (at < 0) break;
      const within = line.subarray(Math.max(1, at - 7), at).lastIndexOf(HASH);
      start = within < 0 ? -1 : Math.max(1, at - 7) + within;
    }
    this.badLines += 1;
  }
}

function isRight(value, field) {
  if (field.fields) {
    if (value === null || typeof value !== "object") return false;
    return field.fields.every((inner) => (Object.hasOwn(value, inner.name) ? isRight(value[inner.name], inner) : inner.optional));
  }
  if (field.values) return field.values.includes(value);
  if ("low" in field) return Number.isSafeInteger(value) && value >= field.low && value <= field.high;
  if (!("pattern" in field)) return typeof value === "boolean";
  if (typeof value !== "string" || value.length > textMax || !/^(?: |[^\p{C}\p{Z}])*$/u.test(value)) return false;
  return !field.pattern || new RegExp(`^(?:${field.pattern})$`).test(value);
}

// Of a received object the fields that are as the schema has them; of no other.
export function known(value, fields) {
  if (value === null || typeof value !== "object") return {};
  return Object.fromEntries(fields.filter(({ name }) => Object.hasOwn(value, name)).map((field) => [field, value[field.name]])
    .filter(([field, item]) => isRight(item, field)).map(([field, item]) => [field.name, item]));
}

export const hello = (body) => known(body.hi, tables.messages.hi);
export const telemetry = (body) => known(body.tm, tables.messages.tm);

// A journal record by its fields' names; null when it is none.
export function record(body) {
  const fields = tables.messages.rec;
  if (!Array.isArray(body.rec) || body.rec.length !== fields.length) return null;
  if (!fields.every((field, place) => isRight(body.rec[place], field))) return null;
  return Object.fromEntries(fields.map(({ name }, place) => [name, body.rec[place]]));
}
