// SPDX-License-Identifier: MIT
// Judges sealed blocks of reports, for tests: of a JSON list of {header, slots (base64), taken, codes} the judgements of each, and
// the names that the format has.
"use strict";
const fs = require("node:fs");
const verifier = require("./load.js");

const main = async () => {
  const judgements = [];
  for (const { header, slots, taken, codes } of JSON.parse(fs.readFileSync(0, "utf8"))) {
    const bytes = new Uint8Array(Buffer.from(slots, "base64"));
    const evidence = verifier.readSealed(header, { slots: { bytes }, taken: { ms: Float64Array.from(taken) } });
    judgements.push(await verifier.verify(evidence, { anchors: codes }));
  }
  console.log(JSON.stringify({ judgements, events: verifier.EVENTS, reasons: verifier.REASONS, kinds: verifier.KINDS }));
};
main();
