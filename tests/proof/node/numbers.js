// SPDX-License-Identifier: MIT
// What the verifier finds different in reports: `node numbers.js` reads cases as JSON from stdin and prints one list for each.
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");
const verifier = require("./load.js");

const bytes = (text) => new Uint8Array(Buffer.from(text, "base64"));

const main = async () => {
  globalThis.earlid = {};
  vm.runInThisContext(fs.readFileSync(path.join(__dirname, "../../../host/earlid/page/static/pack.js"), "utf8"));
  const found = [];
  for (const { boards, acts, page } of JSON.parse(fs.readFileSync(0, "utf8"))) {
    const evidence = { acts, boards: boards.map((board) => ({ ...board, slots: bytes(board.slots) })) };
    const began = performance.now();
    const recomputed = verifier.recompute(evidence);
    found.push({ differences: verifier.compare(recomputed, await earlid.pack.unpack(bytes(page))), ms: performance.now() - began });
  }
  process.stdout.write(JSON.stringify(found));
};

main();
