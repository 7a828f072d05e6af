// SPDX-License-Identifier: MIT
// What witnesses said of a board's head: read from the acts, and whether a statement holds as far as a browser can tell.
(() => {
  "use strict";
  const verifier = (globalThis.earlidVerifier ??= {});

  const HOST_TITLE = "earlid witness 1\n";
  const HOST_BYTES = 57;
  const BOARD_BYTES = 16;
  const STAMP_TITLE = "earlid heads 1\n";
  const HEADS_MAX = 10000;

  // Of (key, message, signature) whether the signature is Ed25519's; null where this browser has none.
  const signatureChecker = async () => {
    const isSigned = async (key, message, signature) => {
      try {
        const imported = await crypto.subtle.importKey("raw", key, { name: "Ed25519" }, false, ["verify"]);
        return await crypto.subtle.verify({ name: "Ed25519" }, imported, signature, message);
      } catch {
        return false; // no key, or no signature, of this kind
      }
    };
    // The first test of RFC 8032, section 7.1.
    const key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    const signature =
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555" +
      "fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
    const works = await isSigned(verifier.bytesOf(key), new Uint8Array(0), verifier.bytesOf(signature));
    return works ? isSigned : null;
  };

  // Board -> heads by the acts that count: [{boot, seq, link, by, said_ms, contradicts, body}...]; not those that
  // `earlidVerifier.account` calls unread.
  const witnessesOf = (acts, isValid) => {
    const found = new Map();
    for (const [i, act] of acts.entries()) {
      if (act.kind !== "witness" || act.body === null || !isValid(act, i)) continue;
      const body = verifier.parseObject(act.body);
      if (typeof body?.board !== "string") continue;
      const { board, boot, seq, link, by, said_ms, contradicts } = body;
      const fits = [boot, seq, said_ms].every(verifier.isWhole) && verifier.bytesOf(link, verifier.LINK_BYTES) !== null;
      if (!fits || typeof by !== "string") continue;
      if (!found.has(board)) found.set(board, []);
      found.get(board).push({ boot, seq, link: link.toLowerCase(), by, said_ms, contradicts: contradicts === true, body });
    }
    return found;
  };

  const bytesOfBase64 = (text) => {
    try {
      return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
    } catch {
      return new Uint8Array(0);
    }
  };

  const timeText = (ms) => (ms <= 8.64e15 ? `${new Date(ms).toISOString().slice(0, 16).replace("T", " ")} UTC` : "no time");
  const nameText = (name) => String(name ?? "without a name").replace(/[\p{C}\p{Z}]+/gu, " ").slice(0, 60);
  const contains = (bytes, part) => {
    for (let at = bytes.indexOf(part[0]); at >= 0 && at + part.length <= bytes.length; at = bytes.indexOf(part[0], at + 1)) {
      if (part.every((byte, i) => bytes[at + i] === byte)) return true;
    }
    return false;
  };

  // "earlid witness 1\n" | board (16 ASCII, filled with zeros) | number (u32) | link (12) | said_ms (u64), and its signature; numbers
  // are little-endian.
  const hostFault = async (board, head, isSigned) => {
    const statement = bytesOfBase64(head.body.statement);
    const key = verifier.bytesOf(head.body.key, 32);
    const numbers = new DataView(new ArrayBuffer(12));
    numbers.setUint32(0, head.seq, true);
    numbers.setBigUint64(4, BigInt(head.said_ms), true);
    const [seq, said] = [new Uint8Array(numbers.buffer, 0, 4), new Uint8Array(numbers.buffer, 4, 8)];
    const title = verifier.ascii(HOST_TITLE + board.padEnd(BOARD_BYTES, "\0"));
    const message = verifier.join(title, seq, verifier.bytesOf(head.link), said);
    const isSame = head.seq < 2 ** 32 && verifier.sameBytes(statement.subarray(0, HOST_BYTES), message);
    if (!isSame) return "its statement is another than the act says";
    if (key === null) return "there is no key with it";
    const name = verifier.hexOf((await verifier.sha256(key)).subarray(0, 8));
    if (name !== head.body.witness) return "the key with it is another's";
    if (!isSigned) return null;
    return (await isSigned(key, message, statement.subarray(HOST_BYTES))) ? "" : "its signature is wrong";
  };

  const stampedText = ({ body }) => STAMP_TITLE + [...body.heads].sort().map((one) => `${one}\n`).join("");

  // A time stamp is made over the sorted digests of the boards' heads; who signed it, a browser cannot tell.
  const stampFault = async (board, head) => {
    const { heads } = head.body;
    const are = Array.isArray(heads) && heads.length <= HEADS_MAX && heads.every((one) => /^[0-9a-f]{64}$/.test(one));
    const line = `${board} ${head.boot} ${head.seq} ${head.link}\n`;
    const digest = verifier.hexOf(await verifier.sha256(verifier.ascii(line)));
    if (!are || !heads.includes(digest)) return "the head is not in what was stamped";
    const text = verifier.ascii(stampedText(head));
    return contains(bytesOfBase64(head.body.statement), await verifier.sha256(text)) ? null : "the stamp is of another text";
  };

  const KINDS = {
    host: { who: "Computer", fault: hostFault, open: "its signature was not checked: this browser cannot" },
    tsa: {
      who: "Time stamp authority", fault: stampFault,
      open: "the stamp is of this record; whose it is tells `openssl ts -verify -data heads.txt -in stamp.tsr -CAfile ROOT.pem`",
    },
    paper: { who: "A person", fault: () => null, open: "a code on paper: type it in" },
  };

  // What each head is worth, of a walked board: [{by, name, boot, seq, said_ms, holds: true, false, null: not known, say,
  // files: name -> base64, to check it elsewhere}...].
  const judgeWitnesses = async (walk, heads, isSigned) => {
    const judged = [];
    for (const head of heads) {
      const { boot, seq, by, said_ms, body } = head;
      const kind = Object.hasOwn(KINDS, by) ? KINDS[by] : null;
      const fault = kind ? await kind.fault(walk.board, head, isSigned) : "a kind of witness that is not known here";
      const from = walk.vouchedFrom(head);
      const name = nameText(body.name ?? body.witness ?? "");
      const key = by === "host" && body.name !== undefined ? ` (${nameText(body.witness)})` : "";
      const who = by === "paper" ? "A person" : `${kind ? kind.who : "A witness"} ${name}${key}`;
      const one = `record ${seq}`;
      const reach = from === null ? `${one}, which is not here as it was` : from < seq ? `records ${from} to ${seq}` : one;
      const saw = `${who} saw ${reach}, ${timeText(said_ms)}`;
      judged.push({
        by, name, boot, seq, said_ms,
        holds: fault === null ? null : fault === "",
        files: by === "tsa" && fault === null ? { "heads.txt": btoa(stampedText(head)), "stamp.tsr": body.statement } : {},
        say: fault ? `Not believed: ${saw}; ${fault}.` : `${saw} (${fault === null ? kind.open : "signed"}).`,
      });
    }
    return judged;
  };

  Object.assign(verifier, { signatureChecker, witnessesOf, judgeWitnesses });
})();
