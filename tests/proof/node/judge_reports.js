// SPDX-License-Identifier: MIT
// Judges the sealed blocks of reports, for tests: of a JSON list of {header, slots (base64), taken, codes} the judgements of each.
"use strict";
const fs = require("node:fs");
const verifier = require("./load.js");

const main = async () => {
  const results = [];
  for (const { header, slots, taken, codes } of JSON.parse(fs.readFileSync(0, "utf8"))) {
    const bytes = new Uint8Array(Buffer.from(slots, "base64"));
    const evidence = verifier.readSealed(header, { slots: { bytes }, taken: { ms: Float64Array.from(taken) } });
    results.push(await verifier.verify(evidence, { anchors: codes }));
  }
  console.log(JSON.stringify(results));
};
main();
