// SPDX-License-Identifier: MIT
// Runs the page's modules without a browser: calls in JSON on stdin, one result each on stdout.
import { readFileSync } from "node:fs";
import { anchorCode } from "../../web/src/anchor.js";
import { fileSystem, programOf, whatIsThere } from "../../web/src/chip.js";
import { duration, noWord, timeLeft } from "../../web/src/text.js";
import { Decoder, encode, hello, record, telemetry } from "../../web/src/wire.js";

const bytes = (hex) => new Uint8Array(Buffer.from(hex, "hex"));
const functions = {
  feed(...chunks) {
    const decoder = new Decoder();
    return [chunks.flatMap((chunk) => decoder.feed(bytes(chunk)).map(({ seq, body }) => [seq, body])), decoder.badLines];
  },
  encode, anchorCode, duration, noWord, timeLeft, hello, telemetry, record,
  programOf: (application) => programOf(bytes(application)),
  fileSystem: (table, flashBytes) => fileSystem(bytes(table), flashBytes),
  whatIsThere: (...parts) => whatIsThere(...parts.map(bytes)),
};
const calls = JSON.parse(readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(calls.map(([name, ...given]) => functions[name](...given))));
