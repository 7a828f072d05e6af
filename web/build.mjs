// SPDX-License-Identifier: MIT
// Builds the page: `node build.mjs OUT NPM`, OUT the folder to make, NPM where `npm ci` has put the packages. Makes the same bytes each time.
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
for (const name of ["index.html", "page.css", "page.js", "licences.txt"]) rmSync(join(out, name), { force: true });
const { metafile } = await esbuild.build({
  entryPoints: [join(source, "page.js")], outfile: join(out, "page.js"), bundle: true, format: "esm", target: "es2022", minify: true,
  charset: "utf8", legalComments: "none", metafile: true, nodePaths: [join(npm, "node_modules")], plugins: [oneStub], logLevel: "warning",
  absWorkingDir: npm,
});
cpSync(join(source, "page.css"), join(out, "page.css"));

const packages = new Map();
for (const [path, { bytesInOutput }] of Object.entries(Object.values(metafile.outputs)[0].inputs)) {
  const name = /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1];
  if (name) packages.set(name, (packages.get(name) ?? 0) + bytesInOutput);
}
const texts = [...packages.keys()].sort().map((name) => {
  const folder = join(npm, "node_modules", name);
  const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  if (!file) throw new Error(`${name} has no licence text`);
  return `${name} ${version} (${license}), ${packages.get(name)} bytes of page.js\n\n${readFileSync(join(folder, file), "utf8").trim()}\n`;
});
const number = (value) => value.toLocaleString("en");
const page = readFileSync(join(source, "index.html"), "utf8");
const bytes = readFileSync(join(out, "page.js")).length;
const theirs = [...packages.values()].reduce((sum, part) => sum + part, 0);
writeFileSync(join(out, "index.html"), page.replace("{{theirs}}", number(theirs)).replace("{{bytes}}", number(bytes)));
writeFileSync(join(out, "licences.txt"), `What page.js contains beside Earlid's own code (MIT).\n\n${texts.join(`\n${"-".repeat(100)}\n\n`)}`);
for (const name of ["index.html", "licences.txt", "page.css", "page.js"]) {
  const data = readFileSync(join(out, name));
  console.log(`${createHash("sha256").update(data).digest("hex")}  ${relative(out, join(out, name))}  ${data.length} bytes`);
}
