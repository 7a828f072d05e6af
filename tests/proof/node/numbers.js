// SPDX-License-Identifier: MIT
// What the verifier finds different in reports, for tests: of a JSON list of {sealed, shown}, blocks in base64, one list for each.
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");
const verifier = require("./load.js");

const main = async () => {
  globalThis.earlid = {};
  vm.runInThisContext(fs.readFileSync(path.join(__dirname, "../../../host/earlid/page/static/pack.js"), "utf8"));
  const unpack = (block) => earlid.pack.unpack(Buffer.from(block, "base64"));
  const found = [];
  for (const { sealed, shown } of JSON.parse(fs.readFileSync(0, "utf8"))) {
    const { header, tables } = await unpack(sealed);
    const evidence = verifier.readSealed(header, tables);
    await verifier.verify(evidence); // which says what acts count
    found.push(verifier.compare(verifier.recompute(evidence), await unpack(shown)));
  }
  console.log(JSON.stringify(found));
};
main();
