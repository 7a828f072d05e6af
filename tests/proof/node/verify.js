// SPDX-License-Identifier: MIT
// Judges an export: `node verify.js FILE [CODE...]` prints what `earlid verify FILE --json` does and has its exit code.
"use strict";
const fs = require("node:fs");
const verifier = require("./load.js");

const main = async ([file, ...anchors]) => {
  const evidence = await verifier.readExport(await fs.openAsBlob(file));
  const judgements = await verifier.verify(evidence, { anchors });
  const refused = judgements.find((judgement) => judgement.refused);
  console.log(JSON.stringify(refused ? { refused: refused.findings[0].say } : judgements));
  process.exitCode = verifier.exitCode(judgements);
};
main(process.argv.slice(2));
