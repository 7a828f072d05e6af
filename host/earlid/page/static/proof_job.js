// SPDX-License-Identifier: MIT
// One check of a report or an export: its links and signatures, then every number anew, held against those shown.
// Runs in a worker, where a browser has one for a file, so that the page goes on; else in the page.
{
  const FORM = 1; // of the sealed block: ledger/sealed.py
  const LOOK_BYTES = 1024;
  const TAG = "script"; // spelt out, it would end the element in which this stands

  // A report's block, as text; nothing of a report that is only read ever runs.
  const blockOf = (text, id) => {
    const begins = `<${TAG} type="application/x-earlid" id="${id}">`;
    const at = text.lastIndexOf(begins) + begins.length;
    const ends = text.indexOf(`</${TAG}>`, at);
    return at < begins.length || ends < 0 ? "" : text.slice(at, ends).trim();
  };

  // Whether a report is, beside its data, the very page whose SHA-256 this is: only then is what it draws what its data say.
  const isPage = async (text, blocks, digest) => {
    const bare = blocks.reduce((left, block) => left.replace(block, ""), text);
    const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(bare));
    return [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join("") === digest;
  };

  const unpack = async (block, what) => {
    try {
      return await earlid.pack.unpack(earlid.pack.fromBase64(block));
    } catch {
      throw new Error(`${what} cannot be unpacked: the file was damaged or altered.`);
    }
  };

  const readSealed = async (block) => {
    const { header, tables } = await unpack(block, "What is sealed in this report");
    if (header.sealed !== FORM) throw new Error("This report is of a newer Earlid: take a newer verify.html.");
    return earlidVerifier.readSealed(header, tables);
  };

  // { sealed, shown } of a page, or { file, digest }, that of a page without data; anchors: codes as they were typed.
  const check = async ({ sealed, shown, file, digest, anchors }, onProgress) => {
    const began = performance.now();
    let evidence;
    let pageKnown = null;
    if (file) {
      const isReport = /^\s*<[!a-z]/i.test((await file.slice(0, LOOK_BYTES).text()).replace(/^\ufeff/, ""));
      if (isReport) {
        const text = await file.text();
        sealed = blockOf(text, "sealed");
        if (!sealed) throw new Error("This page carries no sealed records: it is no report of Earlid's, or one of an earlier version.");
        const pack = blockOf(text, "pack");
        pageKnown = await isPage(text, [pack, sealed], digest);
        shown = await unpack(pack, "What this report shows");
      } else evidence = await earlidVerifier.readExport(file, onProgress);
    }
    evidence ??= await readSealed(sealed);
    const judgements = await earlidVerifier.verify(evidence, { anchors, onProgress });
    if (!judgements.length) throw new Error("There is no board in this file, so nothing to judge.");
    const numbers = await compare(evidence, shown);
    const problems = [...(evidence.refused ? [] : evidence.problems), ...numbers.problems];
    return {
      judgements, problems, isReport: Boolean(shown), pageKnown, numbers, seconds: (performance.now() - began) / 1000,
      names: Object.fromEntries(evidence.boards.map(({ board, name }) => [board, name])),
    };
  };

  // A report of which the tables are in order only shows other numbers; others it cannot even compare.
  const compare = async (evidence, shown) => {
    const made = await earlidVerifier.recompute(evidence);
    const numbers = { openings: made.openings.rows, points: made.points.rows, different: [], unsure: [], problems: [] };
    try {
      for (const row of shown ? earlidVerifier.compare(made, shown) : []) numbers[row.cannot ? "unsure" : "different"].push(row);
    } catch {
      numbers.problems.push("What this report shows is not as any Earlid writes it, and cannot be compared with its records.");
    }
    return numbers;
  };

  earlid.job = { check };

  if (typeof WorkerGlobalScope !== "undefined") {
    globalThis.onmessage = async ({ data }) => {
      let told = 0;
      const onProgress = (done, total) => {
        if (performance.now() - told < 50) return;
        told = performance.now();
        postMessage({ done, total });
      };
      try {
        postMessage({ done: 0, total: 0 });
        postMessage({ result: await check(data, onProgress) });
      } catch (error) {
        postMessage({ error: error.message });
      }
    };
  }
}
