// SPDX-License-Identifier: MIT
// Builds the pages: `node build.mjs OUT NPM`, OUT the folder to make, NPM where `npm ci` has put the packages. Makes the same bytes each time.
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const [out, npm] = process.argv.slice(2).map((path) => resolve(path));
const source = join(dirname(fileURLToPath(import.meta.url)), "src");
const esbuild = createRequire(join(npm, "package.json"))("esbuild");

// Of esptool-js's stub loaders only the plain ESP32's is ever sent to a chip: the page refuses all others before.
const oneStub = {
  name: "one-stub",
  setup(build) {
    build.onLoad({ filter: /stub_flasher/ }, ({ path }) => (basename(path) === "esp32.json" || !path.endsWith(".json") ? null : { contents: "{}", loader: "json" }));
  },
};

// Only what is made here is replaced: images/ may lie in the folder already.
mkdirSync(out, { recursive: true });
const made = ["index.html", "licences.txt", "page.css", "page.js", "verify.html"];
for (const name of made) rmSync(join(out, name), { force: true });
const bundle = (name, format, outfile) => esbuild.build({
  entryPoints: [join(source, name)], outfile: join(out, outfile), bundle: true, format, target: "es2022", minify: true, charset: "utf8",
  legalComments: "none", metafile: true, nodePaths: [join(npm, "node_modules")], plugins: [oneStub], logLevel: "warning", absWorkingDir: npm,
});
const page_js = await bundle("page.js", "esm", "page.js");

// verify.html as the host writes it, and before its scripts one more, a reader of QR codes; the policy has its hash too.
const qr_js = await bundle("qr.js", "iife", "qr.js");
const reader = readFileSync(join(out, "qr.js"), "utf8");
rmSync(join(out, "qr.js"));
const hash = createHash("sha256").update(reader).digest("base64");
const [before, policy, body, ...more] = readFileSync(join(source, "../../build/verify.html"), "utf8").split(/(?<=script-src )|(?=<script id="checker">)/);
if (!body || more.length) throw new Error("verify.html has another form");
writeFileSync(join(out, "verify.html"), `${before}'sha256-${hash}' ${policy}<script>${reader}</script>\n${body}`);
cpSync(join(source, "page.css"), join(out, "page.css"));

const texts = [];
const bytesOf = ({ metafile }) => {
  const packages = new Map();
  for (const [path, { bytesInOutput }] of Object.entries(Object.values(metafile.outputs)[0].inputs)) {
    const name = /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1];
    if (name) packages.set(name, (packages.get(name) ?? 0) + bytesInOutput);
  }
  return packages;
};
const packages = bytesOf(page_js);
for (const [file, found] of [["page.js", packages], ["verify.html", bytesOf(qr_js)]]) {
  for (const name of [...found.keys()].sort()) {
    const folder = join(npm, "node_modules", name);
    const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const licence = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    if (!licence) throw new Error(`${name} has no licence text`);
    texts.push(`${name} ${version} (${license}), ${found.get(name)} bytes of ${file}\n\n${readFileSync(join(folder, licence), "utf8").trim()}\n`);
  }
}
const number = (value) => value.toLocaleString("en");
const page = readFileSync(join(source, "index.html"), "utf8");
const bytes = readFileSync(join(out, "page.js")).length;
const theirs = [...packages.values()].reduce((sum, part) => sum + part, 0);
writeFileSync(join(out, "index.html"), page.replace("{{theirs}}", number(theirs)).replace("{{bytes}}", number(bytes)));
writeFileSync(join(out, "licences.txt"), `What page.js and verify.html contain beside Earlid's own code (MIT).\n\n${texts.join(`\n${"-".repeat(100)}\n\n`)}`);
for (const name of made) {
  const data = readFileSync(join(out, name));
  console.log(`${createHash("sha256").update(data).digest("hex")}  ${relative(out, join(out, name))}  ${data.length} bytes`);
}
