// SPDX-License-Identifier: MIT
// Judges boards alone, for tests: of a JSON list of {board, slots (base64), purges, anchors, codes} what is found of each.
"use strict";
const fs = require("node:fs");
const verifier = require("./load.js");

const main = async () => {
  const results = [];
  for (const { board, slots, purges, anchors, codes } of JSON.parse(fs.readFileSync(0, "utf8"))) {
    const tables = { purges, anchors, labels: [], clock_points: [] };
    const bytes = new Uint8Array(Buffer.from(slots, "base64"));
    const boards = [{ board, name: null, slots: bytes, taken: null, tables, before: null, head: null }];
    const [judged] = await verifier.verify({ boards, acts: [], problems: [], refused: null, sealed: false }, { anchors: codes });
    results.push(judged);
  }
  console.log(JSON.stringify({ results, events: verifier.EVENTS, reasons: verifier.REASONS, kinds: verifier.KINDS }));
};
main();
