// SPDX-License-Identifier: MIT
// Reads what is to be judged: an export (JSON Lines), or the sealed block of a report. Refuses what is neither.
(() => {
  "use strict";
  const verifier = (globalThis.earlidVerifier ??= {});

  const FORMATS = [1, 2, 3];
  const LINE_MAX = 64 * 2 ** 20; // bytes
  const TEXT_MAX = 200;
  const TABLES = {
    purges: ["boot_from", "seq_from", "boot_to", "seq_to", "count", "head_before", "head_after", "at_ms", "why"],
    anchors: ["boot", "seq", "link", "at_ms"],
    labels: ["boot", "seq", "label", "at_ms"],
    clock_points: ["boot", "ms", "wall_ms", "unc_ms"],
  };
  const LIMITS = [
    0xffffffff, 0xffffffff, 0xffffffffffff, 0, 0, 255, 255, 65535, 65535, 65535, 0xffffffffffff, 65535, 0xffffffff, 0xffffffff,
  ];
  const EVENT_AT = 3;
  const REASON_AT = 4;

  class Refusal extends Error {
    constructor(code, say) {
      super(say);
      this.code = code;
    }
  }
  const damaged = (say) => new Refusal(4, `${say} The file was altered, damaged or cut short.`);
  const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

  // A table of bytes that grows.
  class Slots {
    constructor() {
      this.bytes = new Uint8Array(64 * 1024);
      this.taken = new Float64Array(1024);
      this.count = 0;
    }

    add(row, taken_ms) {
      const { SLOT_BYTES } = verifier;
      if ((this.count + 1) * SLOT_BYTES > this.bytes.length) {
        const bytes = new Uint8Array(2 * this.bytes.length);
        bytes.set(this.bytes);
        this.bytes = bytes;
        const taken = new Float64Array(2 * this.taken.length);
        taken.set(this.taken);
        this.taken = taken;
        this.view = null;
      }
      this.view ??= verifier.viewOf(this.bytes);
      writeSlot(this.view, this.count * SLOT_BYTES, row);
      this.taken[this.count] = taken_ms;
      this.count += 1;
    }
  }

  // Writes a record as the wire has it (14 fields, link and mac in hex) as body, link and mac; Refusal when it is none.
  const writeSlot = (view, at, row) => {
    if (!Array.isArray(row) || row.length !== LIMITS.length + 2) throw damaged("no record of 16 items.");
    const event = EVENT_CODES.get(row[EVENT_AT]);
    const reason = REASON_CODES.get(row[REASON_AT]);
    if (event === undefined || reason === undefined) throw damaged("a record of an unknown event or reason.");
    for (let i = 0; i < LIMITS.length; i += 1) {
      if (i === EVENT_AT || i === REASON_AT) continue;
      if (!verifier.isWhole(row[i]) || row[i] > LIMITS[i]) throw damaged("a field of a record is out of its range.");
    }
    const [seq, boot, ms, , , score, flags, energy, guarded, sentinel, wall, unc, a, b, link, mac] = row;
    const high = (value) => Math.floor(value / 0x100000000);
    view.setUint32(at, seq, true);
    view.setUint32(at + 4, boot, true);
    view.setUint32(at + 8, ms % 0x100000000, true);
    view.setUint16(at + 12, high(ms), true);
    view.setUint8(at + 14, event);
    view.setUint8(at + 15, reason);
    view.setUint8(at + 16, score);
    view.setUint8(at + 17, flags);
    view.setUint16(at + 18, energy, true);
    view.setUint16(at + 20, guarded, true);
    view.setUint16(at + 22, sentinel, true);
    view.setUint32(at + 24, wall % 0x100000000, true);
    view.setUint16(at + 28, high(wall), true);
    view.setUint16(at + 30, unc, true);
    view.setUint32(at + 32, a, true);
    view.setUint32(at + 36, b, true);
    const isHex = (text, pattern) => typeof text === "string" && pattern.test(text);
    if (!isHex(link, /^[0-9a-f]{24}$/) || !isHex(mac, /^[0-9a-f]{16}$/)) throw damaged("a record's link or mac is none.");
    writeHex(view, at + 40, link);
    writeHex(view, at + 52, mac);
  };
  let EVENT_CODES = null;
  let REASON_CODES = null;

  const writeHex = (view, at, hex) => {
    for (let i = 0; i < hex.length; i += 2) view.setUint8(at + i / 2, parseInt(hex.slice(i, i + 2), 16));
  };

  // The object of a line or an act's body, null when it is none. Numbers are whole, written without point or exponent: JSON.parse
  // would not tell 1.0 from 1.
  const parseObject = (text) => {
    try {
      const value = JSON.parse(text);
      if (isObject(value) && !/[0-9][.eE]/.test(text.replace(/"[^"\\]*(?:\\.[^"\\]*)*"/g, '""'))) return value;
    } catch {
      // no JSON
    }
    return null;
  };

  const checkedRow = (row, columns) => {
    const checked = {};
    for (const name of columns) {
      const value = isObject(row) ? row[name] : undefined;
      const isLink = name === "link" || name.startsWith("head_");
      const fits = isLink
        ? (value === null && name === "head_before") || verifier.bytesOf(value, verifier.LINK_BYTES) !== null
        : name === "why" ? typeof value === "string" : verifier.isWhole(value);
      if (!fits) throw damaged(`${name} of a board's header is not what it may be.`);
      checked[name] = isLink && value !== null ? value.toLowerCase() : value;
    }
    return checked;
  };

  const checkedTables = (tables) => {
    const checked = {};
    for (const [table, columns] of Object.entries(TABLES)) {
      if (!Array.isArray(tables?.[table])) throw damaged(`a board's header has no ${table}.`);
      checked[table] = tables[table].map((row) => checkedRow(row, columns));
    }
    return checked;
  };

  const isName = (name) =>
    name === null ||
    (typeof name === "string" && [...name].length <= TEXT_MAX && !/(?![ \u00a0\u200c\u200d])[\p{C}\p{Z}]/u.test(name));

  const checkedAct = (values) => {
    const [installation, number, place, kind, body, ...hashes] = Array.isArray(values) ? values : [];
    const texts = typeof installation === "string" && typeof kind === "string" && (body === null || typeof body === "string");
    const hex = hashes.length === 3 && hashes.every((hash) => verifier.bytesOf(hash) !== null);
    if (!texts || !hex || !verifier.isWhole(number) || !verifier.isWhole(place)) throw damaged("no act.");
    return [installation, number, place, kind, body, ...hashes.map((hash) => hash.toLowerCase())];
  };

  // What an export says, line by line; `finish` has it.
  class ExportReader {
    constructor() {
      this.boards = [];
      this.acts = [];
      this.section = null;
      this.whole = true; // nothing is to follow
      this.line = 0;
      EVENT_CODES ??= new Map(verifier.EVENTS.map((name, code) => [name, code]));
      REASON_CODES ??= new Map(verifier.REASONS.map((name, code) => [name, code]));
    }

    take(text) {
      this.line += 1;
      const body = parseObject(text);
      if (body === null || (this.line === 1 && !("earlid" in body))) {
        const say = `line ${this.line} is no line of an export.`;
        throw this.line === 1 ? new Refusal(2, `This is no export of Earlid's: ${say}`) : damaged(say);
      }
      try {
        this.takeBody(body);
      } catch (error) {
        if (error instanceof Refusal) throw new Refusal(error.code, `Line ${this.line}: ${error.message}`);
        throw error;
      }
    }

    takeBody(body) {
      if ("earlid" in body) this.takeHeader(body);
      else if (this.section && "rec" in body) {
        if (!verifier.isWhole(body.at)) throw damaged("a record without the time at which it was taken.");
        this.section.slots.add(body.rec, body.at);
      } else if (this.section) this.takeEnd(body);
      else if ("act" in body && !this.whole) this.acts.push(checkedAct(body.act));
      else if ("acts" in body && !this.whole) {
        if (body.acts !== this.acts.length) throw damaged("acts are missing, or there are too many.");
        this.whole = true;
      } else throw damaged("it stands where no such line may.");
    }

    takeHeader(body) {
      if (!FORMATS.includes(body.format)) throw new Refusal(this.line === 1 ? 2 : 4, "a format that is not known here.");
      if (this.section || this.acts.length) throw damaged("a board begins before the one before it ends.");
      if (!verifier.isIdentifier(body.board) || !isName(body.name)) throw damaged("a board's header is damaged.");
      if (this.boards.some((board) => board.board === body.board)) throw damaged("a board comes twice.");
      this.section = { board: body.board, name: body.name, slots: new Slots(), tables: checkedTables(body), before: null };
      this.whole = body.format === 1;
    }

    takeEnd(body) {
      const { board, name, slots, tables } = this.section;
      const last = slots.count - 1;
      const bytes = slots.bytes.slice(0, slots.count * verifier.SLOT_BYTES);
      const seq = last < 0 ? 0 : verifier.seqAt(verifier.viewOf(bytes), last);
      const link = last < 0 ? "" : verifier.hexOf(bytes.subarray(last * 64 + 40, last * 64 + 52));
      if (body.end !== board || body.count !== slots.count || body.seq !== seq || body.link !== link) {
        throw damaged(`the end of board ${board} does not fit its records.`);
      }
      this.boards.push({ board, name, slots: bytes, taken: slots.taken.slice(0, slots.count), tables, before: null, head: null });
      this.section = null;
    }

    finish() {
      if (this.section || !this.whole) throw damaged("The file ends before its end.");
      return { boards: this.boards, acts: this.acts, problems: [], refused: null, sealed: false, partial: false };
    }
  }

  const refusedEvidence = (error) => {
    const { code, message } =
      error instanceof Refusal ? error : { code: 2, message: `this browser could not read it (${error.message}).` };
    return { boards: [], acts: [], problems: [message], refused: { code, say: message }, sealed: false, partial: false };
  };

  // Lines of a Blob, decoded one by one.
  async function* blobLines(blob, onProgress) {
    let decoder = new TextDecoder("utf-8", { fatal: true }); // the first line's: it drops a byte order mark
    const decode = (parts) => {
      try {
        return decoder.decode(parts.length === 1 ? parts[0] : verifier.join(...parts));
      } catch {
        return ""; // no text, and so no line of an export
      } finally {
        decoder = rest;
      }
    };
    const rest = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    let parts = []; // of the line that is not whole yet
    let size = 0;
    let done = 0;
    const STEP = 2 ** 20;
    for (let at = 0; at < blob.size; at += STEP) {
      const bytes = new Uint8Array(await blob.slice(at, at + STEP).arrayBuffer());
      let begin = 0;
      for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, begin)) {
        yield decode([...parts, bytes.subarray(begin, end)]);
        parts = [];
        size = 0;
        begin = end + 1;
      }
      parts.push(bytes.subarray(begin));
      size += bytes.length - begin;
      if (size > LINE_MAX) yield ""; // longer than any of an export
      done += bytes.length;
      onProgress?.(done, blob.size);
    }
    if (size) yield decode(parts);
  }

  // Evidence of an export: a Blob, or its lines as texts.
  const readExport = async (source, onProgress) => {
    try {
      const reader = new ExportReader();
      const lines = source instanceof Blob ? blobLines(source, onProgress) : source;
      const pause = verifier.makePause();
      for await (const line of lines) {
        reader.take(line);
        if (reader.line % 64 === 0) await pause();
      }
      return reader.finish();
    } catch (error) {
      return refusedEvidence(error);
    }
  };

  const checkedBefore = (before) => {
    if (before == null) return null;
    const link = verifier.bytesOf(before.link, verifier.LINK_BYTES);
    if (!verifier.isWhole(before.seq) || link === null) throw damaged("what stood before a board's records is not said.");
    return { seq: before.seq, link: before.link.toLowerCase() };
  };

  const checkedHead = (head) => {
    if (head == null) return null;
    const fits = verifier.isWhole(head.boot) && verifier.isWhole(head.seq) && verifier.bytesOf(head.link, verifier.LINK_BYTES);
    if (!fits) throw damaged("a board's newest record is not said.");
    return { boot: head.boot, seq: head.seq, link: head.link.toLowerCase() };
  };

  // Evidence of the sealed block of a report, as `earlid.pack.unpack` gives its header and tables.
  const readSealed = (header, tables) => {
    try {
      const bytes = tables?.slots?.bytes ?? new Uint8Array(0);
      const taken = tables?.taken?.ms ?? null;
      const known = new Set();
      let at = 0;
      if (!isObject(header) || !Array.isArray(header.boards) || !Array.isArray(header.acts)) throw damaged("no sealed records.");
      const boards = header.boards.map((board) => {
        const fits = isObject(board) && verifier.isIdentifier(board.board) && isName(board.name ?? null);
        if (!fits || known.has(board.board)) throw damaged("a board of the report is none.");
        known.add(board.board);
        const { count } = board;
        if (!verifier.isWhole(count) || (at + count) * verifier.SLOT_BYTES > bytes.length) throw damaged("records are missing.");
        const mine = {
          board: board.board,
          name: board.name ?? null,
          slots: bytes.slice(at * verifier.SLOT_BYTES, (at + count) * verifier.SLOT_BYTES),
          taken: taken && taken.length >= at + count ? Float64Array.from(taken.subarray(at, at + count)) : null,
          tables: checkedTables(board.tables),
          before: checkedBefore(board.before),
          head: checkedHead(board.head),
        };
        at += count;
        return mine;
      });
      if (at * verifier.SLOT_BYTES !== bytes.length) throw damaged("there are more records than the boards have.");
      const problems = Array.isArray(header.problems) ? header.problems.map(String) : [];
      const partial = header.partial === true || boards.some((board) => board.before !== null);
      return { boards, acts: header.acts.map(checkedAct), problems, refused: null, sealed: true, partial };
    } catch (error) {
      return { ...refusedEvidence(error), sealed: true };
    }
  };

  Object.assign(verifier, { readExport, readSealed, parseObject });
})();
