// SPDX-License-Identifier: MIT
// The verifier's scripts as a page runs them, in Node: `require("./load.js")` is `earlidVerifier`.
"use strict";
const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");

const folder = path.join(__dirname, "../../../host/earlid/page/static/verifier");
for (const name of fs.readdirSync(folder).sort()) {
  if (name.endsWith(".js")) vm.runInThisContext(fs.readFileSync(path.join(folder, name), "utf8"), { filename: name });
}
module.exports = globalThis.earlidVerifier;
