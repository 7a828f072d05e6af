// SPDX-License-Identifier: MIT
// The readers in JavaScript, of the flashing page and of the verifier: inputs in JSON on stdin, [name, input...] each; on stdout what
// each gave, or {threw}. How long one may take is a limit, too.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileSystem, plain, programOf, whatIsThere } from "../../web/src/chip.js";
import { Decoder, hello, record, telemetry } from "../../web/src/wire.js";

const verifier = createRequire(import.meta.url)("../proof/node/load.js");
const ONE_INPUT_MS = 20000;
const bytes = (base64) => new Uint8Array(Buffer.from(base64, "base64"));
const found = (judgements) => [
  verifier.exitCode(judgements),
  judgements.flatMap(({ board, findings }) => findings.map(({ verdict, first, last }) => [board, verdict, first, last])),
];

const readers = {
  wire(data) {
    const frames = new Decoder().feed(bytes(data));
    for (const { body } of frames) [hello, record, telemetry].forEach((read) => read(body));
    return frames.length;
  },
  chip(data) {
    const part = bytes(data);
    const there = whatIsThere(part, part, part);
    return [fileSystem(part, 4 << 20), plain(programOf(part)), there.found, plain(there.program)];
  },
  anchor(text) {
    const code = verifier.parseCode(text);
    return code && [code.seq, Buffer.from(code.link).toString("hex")];
  },
  async export(data) {
    return found(await verifier.verify(await verifier.readExport(new Blob([bytes(data)]))));
  },
  async sealed(text, slots, taken) {
    if (/NaN|Infinity/.test(text)) return null; // no JSON: it never comes so far
    const header = JSON.parse(text);
    const tables = { slots: { bytes: bytes(slots) }, taken: { ms: Float64Array.from(taken) } };
    const evidence = verifier.readSealed(header, tables);
    const judged = found(await verifier.verify(evidence, { anchors: ["3C-7H2K-9XWD-M"] }));
    if (!evidence.refused) verifier.recompute?.(evidence);
    return judged;
  },
};

const results = [];
for (const [name, ...input] of JSON.parse(readFileSync(0, "utf8"))) {
  const begun = performance.now();
  let result;
  try {
    result = await readers[name](...input);
  } catch (error) {
    result = { threw: String(error?.stack ?? error) };
  }
  results.push(performance.now() - begun < ONE_INPUT_MS ? result : { threw: "too slow" });
}
process.stdout.write(JSON.stringify(results));
