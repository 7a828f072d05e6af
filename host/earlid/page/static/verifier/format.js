// SPDX-License-Identifier: MIT
// The documented format of records, acts and anchor codes, in constants and small conversions; nothing is judged here.
(() => {
  "use strict";
  const verifier = (globalThis.earlidVerifier ??= {});

  const SLOT_BYTES = 64;
  const BODY_BYTES = 40;
  const LINK_BYTES = 12;
  const LINK_AT = 40;
  const MAC_AT = 52;
  const MAC_BYTES = 8;

  // Their order is the format: a record has the place of its event and of its reason.
  const EVENTS =
    "boot mute unmute open close near-miss fault selftest config clock maintenance lost live dead mark limited".split(" ");
  const REASONS = [
    "",
    ...("word button timeout silence host mute fault power-on reset-pin watchdog soft-reset brown-out deep-sleep passed failed " +
      "welded no-close sagging mute-poles mic-dead mic-stuck mic-clipped overrun flash-full flash-error clock-back boot-loop " +
      "exception config-damaged model-damaged changed rolled-back refused paired first-start set entered overwritten torn " +
      "drop-time pump-stuck recovered no-memory reset start unexpected open live refractory hint repaired key-lost coil-sags")
      .split(" "),
  ];
  const KINDS = [
    "begin", "took", "clock", "label", "name", "retention", "note", "purge", "import", "adopt", "restored", "witness",
  ];

  const viewOf = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const seqAt = (view, i) => view.getUint32(i * SLOT_BYTES, true);
  const bootAt = (view, i) => view.getUint32(i * SLOT_BYTES + 4, true);

  // Fields of record i of a DataView over slots; event and reason as texts, "unknown" where the format has none.
  const recordAt = (view, i) => {
    const at = i * SLOT_BYTES;
    const u16 = (offset) => view.getUint16(at + offset, true);
    const u32 = (offset) => view.getUint32(at + offset, true);
    return {
      seq: u32(0),
      boot: u32(4),
      ms: u32(8) + u16(12) * 0x100000000,
      event: EVENTS[view.getUint8(at + 14)] ?? "unknown",
      reason: REASONS[view.getUint8(at + 15)] ?? "unknown",
      score: view.getUint8(at + 16),
      flags: view.getUint8(at + 17),
      energy: u16(18),
      guarded: u16(20),
      sentinel: u16(22),
      wall: u32(24) + u16(28) * 0x100000000,
      unc: u16(30),
      a: u32(32),
      b: u32(36),
    };
  };

  const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
  const hexOf = (bytes) => Array.from(bytes, (byte) => HEX[byte]).join("");

  // Bytes of hex digits; null of what is none, or of another length than `size`.
  const bytesOf = (hex, size) => {
    if (typeof hex !== "string" || !/^(?:[0-9a-fA-F]{2})*$/.test(hex)) return null;
    if (size !== undefined && hex.length !== 2 * size) return null;
    const bytes = new Uint8Array(hex.length / 2);
    for (let i = 0; i < bytes.length; i += 1) bytes[i] = parseInt(hex.slice(2 * i, 2 * i + 2), 16);
    return bytes;
  };

  const sameBytes = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);

  const ascii = (text) => Uint8Array.from(text, (char) => char.charCodeAt(0));

  const join = (...parts) => {
    const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  };

  const sha256 = async (bytes) => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));

  // A pause now and then, so that a page that has no worker is drawn and heeds its user meanwhile.
  const SLICE_MS = 25;
  const makePause = () => {
    let until_ms = performance.now() + SLICE_MS;
    return async () => {
      if (performance.now() < until_ms) return;
      await new Promise((resolve) => setTimeout(resolve));
      until_ms = performance.now() + SLICE_MS;
    };
  };

  // The link before a board's first record.
  const genesis = async (board) => (await sha256(ascii(`earlid chain 1 ${board}`))).subarray(0, LINK_BYTES);

  const isIdentifier = (text) => typeof text === "string" && /^[0-9a-f]{1,16}(?:\.[0-9a-f]{6})?$/.test(text);

  const isWhole = (value) => Number.isSafeInteger(value) && value >= 0;

  // Anchor codes: number and 40 bits of the link in Crockford's base 32, and a check character over GF(32).
  const DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  const LINK_DIGITS = 8;

  const checkOf = (digits) =>
    digits.reduce((total, digit) => {
      const doubled = (total ^ digit) << 1;
      return doubled & 32 ? doubled ^ 0b100101 : doubled;
    }, 0);

  const makeCode = (seq, link) => {
    const head = link.subarray(0, 5).reduce((sum, byte) => sum * 256 + byte, 0);
    const digits = [];
    for (let left = head, i = 0; i < LINK_DIGITS; i += 1, left = Math.floor(left / 32)) digits.unshift(left % 32);
    let left = seq;
    do {
      digits.unshift(left % 32);
      left = Math.floor(left / 32);
    } while (left > 0);
    const text = [...digits, checkOf(digits)].map((digit) => DIGITS[digit]).join("");
    const cut = digits.length - LINK_DIGITS;
    return [text.slice(0, cut), text.slice(cut, cut + 4), text.slice(cut + 4, cut + 8), text.slice(-1)].join("-");
  };

  // {seq, link: the first 5 bytes} of a typed code; null of what is none or was mistyped.
  const parseCode = (typed) => {
    if (typeof typed !== "string" || typed.length > 100) return null;
    const text = typed.toUpperCase().replace(/[- \t]/g, "").replace(/[IL]/g, "1").replace(/O/g, "0");
    const digits = Array.from(text, (char) => DIGITS.indexOf(char));
    const number_digits = digits.length - LINK_DIGITS - 1; // 7 have 32 bits
    if (number_digits < 1 || number_digits > 7 || digits.includes(-1)) return null;
    const check = digits.pop();
    if (checkOf(digits) !== check) return null;
    const number = (part) => part.reduce((sum, digit) => sum * 32 + digit, 0);
    let head = number(digits.slice(-LINK_DIGITS));
    const link = new Uint8Array(5);
    for (let i = 4; i >= 0; i -= 1, head = Math.floor(head / 256)) link[i] = head % 256;
    return { seq: number(digits.slice(0, -LINK_DIGITS)), link };
  };

  Object.assign(verifier, {
    SLOT_BYTES, BODY_BYTES, LINK_BYTES, LINK_AT, MAC_AT, MAC_BYTES, EVENTS, REASONS, KINDS,
    viewOf, seqAt, bootAt, recordAt, hexOf, bytesOf, sameBytes, ascii, join, sha256, makePause, genesis,
    isIdentifier, isWhole, makeCode, parseCode,
  });
})();
