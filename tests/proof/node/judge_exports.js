// SPDX-License-Identifier: MIT
// Judges exports, for tests: stdin has a JSON list of [file, codes]; stdout what was found in each, as verify.js prints it, and its exit code.
"use strict";
const fs = require("node:fs");
const verifier = require("./load.js");

const main = async () => {
  const results = [];
  for (const [file, anchors] of JSON.parse(fs.readFileSync(0, "utf8"))) {
    const judgements = await verifier.verify(await verifier.readExport(await fs.openAsBlob(file)), { anchors });
    results.push({ judgements, code: verifier.exitCode(judgements) });
  }
  console.log(JSON.stringify(results));
};
main();
