// SPDX-License-Identifier: MIT
// Flash: the flow from a chosen word to a first self-test.
import { plain } from "./chip.js";
import { Flasher, Trouble, reset, unpluggedBefore } from "./flasher.js";
import { Listener, choosePort, pause } from "./port.js";
import { $, el, facts, noWord, number, timeLeft, wordText } from "./text.js";
import { hello, record } from "./wire.js";
import { tables } from "../../build/web-tables.mjs";

const { startupMs } = tables.flasher;
const IMAGE_MAX_BYTES = 16 << 20;
const PROMPT = />>> ?$|raw REPL; CTRL-B to exit\r\n>$/;
const STEPS = ["word", "connect", "overwrite", "write", "test", "next"];
const SHOWN = { loading: 2, word: 2, connecting: 2, found: 3, writing: 4, verifying: 4, testing: 5, passed: 6, failed: 5, untested: 6, silent: 5 };
const FOCUS = { word: "word", connecting: "connect", found: "overwrite", writing: "write", testing: "test", passed: "next", untested: "next", refused: "trouble", broken: "trouble" };
const BUSY = ["connecting", "writing", "verifying", "testing"];
const BEFORE = { // who is told what of the chip's content
  empty: "The flash is empty: nothing is lost.",
  micropython: "MicroPython is on it, and no journal of Earlid. Whatever files it keeps are overwritten.",
};

const UNPLUGGED = "The board was unplugged while it started. The firmware is on it: plug it in, and see it under Look at a board.";

let images = [];
let flasher = null;
let found = "";

const state = () => $("flash").dataset.state;

function enter(next) {
  const before = state();
  $("flash").dataset.state = next;
  const shown = SHOWN[next] ?? Infinity; // trouble: what was reached stays
  STEPS.forEach((step, place) => { if (shown !== Infinity) $(`step-${step}`).hidden = place >= shown; });
  $("trouble").hidden = shown !== Infinity;
  $("again-row").hidden = !(shown === Infinity || ["passed", "failed", "untested", "silent"].includes(next));
  for (const id of ["connect", "connect-any"]) $(id).disabled = next !== "word" || !images.length;
  for (const choice of document.querySelectorAll("#words input")) choice.disabled = next !== "word";
  $("leave").disabled = next !== "found";
  consent();
  if (FOCUS[next] && before !== "loading") $(`title-${FOCUS[next]}`).focus();
}

function consent() {
  const agreed = { earlid: $("erase-word").value.trim() === "erase", foreign: $("foreign-check").checked }[found] ?? true;
  $("write").disabled = state() !== "found" || !agreed;
}

function fail(error) {
  const trouble = error instanceof Trouble ? error : new Trouble("refused", `Something unexpected happened: ${plain(String(error.message), 200)}. Start again.`);
  $("trouble-say").textContent = trouble.message;
  enter(trouble.kind);
}

// --- 1: the images beside the page ---

const isImage = (one) => one?.schema === tables.schema && /^[\w.+-]{1,100}\.bin$/.test(one.image?.name) && /^[0-9a-f]{64}$/.test(one.image.sha256)
  && Number.isInteger(one.flash_bytes) && Number.isInteger(one.image.bytes) && one.image.bytes > 0 && one.image.bytes <= IMAGE_MAX_BYTES && tables.boards.includes(one.board)
  && (one.word === null || typeof one.word === "string");

async function loadImages() {
  try {
    const answer = await fetch("images/index.json", { cache: "no-cache" });
    const list = answer.ok ? await answer.json() : [];
    images = Array.isArray(list) ? list.filter(isImage) : [];
  } catch {
    images = [];
  }
  images.sort((one, other) => (other.word === tables.defaultWord) - (one.word === tables.defaultWord)); // which comes first, and is chosen
  $("words").replaceChildren(...images.map((one, place) => {
    const choice = el("input", { type: "radio", name: "word", value: one.image.name, ...(place ? {} : { checked: "" }) });
    const details = `${number(one.image.bytes)} bytes, Earlid ${plain(String(one.earlid))} on ${plain(String(one.micropython?.name))}, circuit ${plain(String(one.recipe))}`;
    return el("label", { class: "choice" }, choice, el("span", {}, el("strong", {}, one.word === null ? "no word: the talk button only" : plain(one.word.replaceAll("_", " "))),
      el("small", {}, details), el("small", {}, "SHA-256 ", el("code", {}, one.image.sha256))));
  }));
  $("words-say").textContent = images.length ? "" : "No images lie beside this page. earlid image makes them; see web/README.md.";
  enter("word");
}

const chosen = () => images.find(({ image }) => image.name === document.querySelector("#words input:checked")?.value);

// The chosen image's bytes, which are what its hash says.
async function fetchImage() {
  const { image } = chosen();
  const answer = await fetch(`images/${image.name}`, { cache: "no-cache" }).catch(() => ({ ok: false, status: "no connection" }));
  if (!answer.ok) throw new Trouble("refused", `The image ${image.name} cannot be fetched (${answer.status}). Nothing was written.`);
  const data = new Uint8Array(await answer.arrayBuffer());
  const digest = Array.from(new Uint8Array(await crypto.subtle.digest("SHA-256", data)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  if (digest !== image.sha256) {
    throw new Trouble("refused", `The image ${image.name} is damaged: its SHA-256 is ${digest.slice(0, 16)}…, and should be ${image.sha256.slice(0, 16)}…. Nothing was written. Reload the page, or make the image anew.`);
  }
  return data;
}

// --- 2 and 3: the board, and what is on it ---

// The hello of an Earlid that runs there; {} when none answers. Asked without a restart.
async function probe(port) {
  let heard = {};
  const listener = new Listener(port, (body) => { heard = { ...heard, ...hello(body) }; });
  try {
    await listener.open();
  } catch {
    return {}; // the flasher says why
  }
  const id = Math.floor(Math.random() * tables.wire.seqWrap);
  const until = performance.now() + tables.probe.timeoutMs;
  while (!heard.board && performance.now() < until && port.readable) {
    await listener.hello(id);
    await pause(tables.probe.retryMs);
  }
  await listener.close();
  return heard;
}

async function connect(every) {
  const port = await choosePort(every).catch((error) => fail(error));
  if (port === undefined) return;
  if (port === null) {
    $("connect-say").textContent = "No port was chosen. Nothing happened.";
    return;
  }
  enter("connecting");
  $("connect-say").textContent = "Looking at the board…";
  $("chip").hidden = true;
  const hi = await probe(port);
  flasher = new Flasher(port, report);
  try {
    const { chip, mac, flash, there } = await flasher.look();
    const { image, flash_bytes: bytes, larger_flash: larger } = chosen();
    if (!(flasher.flashBytes === bytes || (larger && flasher.flashBytes > bytes))) {
      await flasher.restart();
      throw new Trouble("refused", `This module has ${flash} of flash, and ${image.name} is for ${bytes >> 20}MB. Nothing was written. earlid flash writes this module.`);
    }
    facts($("chip"), [["Chip", chip], ["MAC address ends in", mac.slice(-8)], ["Flash", flash], ["Speed", `${number(flasher.baud)} baud`]]);
    $("chip").hidden = false;
    found = hi.board ? "earlid" : there.found;
    $("overwritten").dataset.found = found;
    $("overwritten").textContent = BEFORE[found] ?? (found === "foreign" ? `This ${chip} with ${flash} of flash carries ${there.program}.` : earlidText(hi, there.program));
    $("consent-erase").hidden = found !== "earlid";
    $("consent-foreign").hidden = found !== "foreign";
    $("erase-word").value = "";
    $("foreign-check").checked = false;
    $("connect-say").textContent = "Connected.";
    enter("found");
    flasher.unplugged.catch(() => { if (state() === "found") fail(unpluggedBefore()); });
  } catch (error) {
    $("connect-say").textContent = "";
    fail(error);
  }
}

function earlidText(hi, program) {
  if (!hi.board && !program) return "Its file system was written so often that the page does not see what is in it: it may hold a journal and a key of Earlid.";
  if (!hi.board) return "Earlid has run on this board: its file system holds a journal and a key.";
  const records = hi.seq ? `, with ${number(hi.seq)} records so far, ${number(hi.acked ?? 0)} of them fetched` : "";
  return `Board ${hi.board} runs Earlid ${hi.fw ?? ""}${records}.`;
}

async function leave() {
  await flasher.restart();
  $("connect-say").textContent = "The board was left as it was, and restarted.";
  enter("word");
}

// --- 4: writing ---

const REPORTS = {
  connect: ["connect-say", "Connecting to the chip's boot loader…"],
  read: ["connect-say", "Reading what is on it…"],
  erase: ["write-say", "Erasing the whole flash. This takes up to a minute…"],
  write: ["write-say", "Writing"],
  slow: ["write-say", "The fast connection failed: once more, at 115,200 baud."],
  verify: ["write-say", "Verifying…"],
};
let stage = { name: "", beginMs: 0, quarter: 0 };

function report(name, done, total) {
  if (name !== stage.name) {
    stage = { name, beginMs: performance.now(), quarter: 0 };
    const [id, text] = REPORTS[name];
    $(id).textContent = name === "write" ? `${text} at ${number(flasher.baud)} baud…` : text;
    if (name === "verify") $("flash").dataset.state = "verifying";
  }
  if (name !== "write") return;
  if (total && !done) stage.beginMs = performance.now(); // compressed by now, and the first block goes
  $("bar").value = total ? (100 * done) / total : 0;
  const left = timeLeft(done, total, performance.now() - stage.beginMs);
  $("write-progress").textContent = total ? `${number(done)} of ${number(total)} bytes, compressed${left}` : "";
  const quarter = total ? Math.floor((4 * done) / total) : 0;
  if (quarter > stage.quarter && quarter < 4) $("write-say").textContent = `${quarter * 25} % written${left}.`;
  stage.quarter = quarter;
}

async function write() {
  stage = { name: "", beginMs: 0, quarter: 0 };
  enter("writing");
  $("write-say").textContent = "Checking the image…";
  $("write-progress").textContent = "";
  $("bar").value = 0;
  try {
    const image = await fetchImage().catch(async (error) => {
      await flasher.restart();
      throw error;
    });
    await flasher.write(image, found === "earlid");
    await flasher.release();
    $("write-progress").textContent = `${number(image.length)} bytes`;
    $("write-say").textContent = "Written, and verified by its MD5 on the chip.";
    await test();
  } catch (error) {
    fail(error);
  }
}

// --- 5: the first self-test ---

async function test() {
  enter("testing");
  $("test-say").textContent = "Restarting the board, and waiting for its first self-test…";
  $("self-test").replaceChildren();
  let hi = {};
  let booted = false;
  let result = null;
  const listener = new Listener(flasher.port, (body) => {
    const row = record(body);
    if (Object.keys(hello(body)).length) [hi, booted] = [hello(body), true];
    if (row?.event === "boot") booted = true;
    if (row?.event === "selftest") result = row;
  });
  try {
    await listener.open();
  } catch {
    throw new Trouble("broken", "The firmware is written, but the port cannot be opened again. Plug the board out and in, and look at it under Look at a board.");
  }
  await reset(flasher.port);
  const until = performance.now() + 2 * startupMs; // the first start makes a key and the journal's files
  const complete = () => hi.board && (result || hi.state === "muted" || hi.maintenance);
  while (!complete() && performance.now() < until && flasher.port.readable && !PROMPT.test(listener.tail)) await pause(100);
  const unplugged = !flasher.port.readable;
  await listener.close();
  if (result) showSelfTest(result.a);
  const [end, text] = unplugged && !complete() ? ["silent", UNPLUGGED] : verdict(hi, booted, result, listener.tail);
  $("test-say").textContent = text;
  enter(end);
}

function showSelfTest(bits) {
  $("self-test").replaceChildren(...tables.selfTest.map(([bit, meaning]) => {
    const held = Boolean(bits & bit);
    return el("li", { "data-bit": bit, "data-held": held ? "yes" : "no" }, el("span", { class: "held" }, held ? "held" : "failed"), ` ${meaning}`);
  }));
}

// (state, sentence) as `earlid flash` ends.
function verdict(hi, booted, result, tail) {
  if (!booted) {
    const error = tail.split("\n").map((line) => line.trim()).filter((line) => /^\w*(Error|Exception)\b/.test(line)).at(-1);
    const why = error ? ` (${plain(error, 120)})` : "";
    return ["silent", `The firmware is on the board, but did not start${why}. Its lid is closed. Press its reset button, then see earlid doctor, or look at it under Look at a board.`];
  }
  const word = wordText(hi);
  const who = `Board ${hi.board ?? "(unnamed)"} runs Earlid ${hi.fw ?? "?"}${word ? `, ${word}` : ""}.`;
  if (result?.reason === "passed") return [noWord(hi) ? "failed" : "passed", `${who} Its self-test passed.`];
  if (result) return ["failed", `${who} Its self-test failed (bits 0x${result.a.toString(16)}): the lid stays closed. See earlid doctor.`];
  if (hi.maintenance) return ["failed", `${who} Its talk button was held while it restarted, so it waits in maintenance mode: let the button go, press reset.`];
  if (hi.state === "muted") return ["untested", `${who} Its mute switch is on: the self-test runs when it is off.`];
  return ["failed", `${who} It started, but made no self-test. See earlid doctor.`];
}

export const flash = {
  begin() {
    $("gesture").textContent = tables.gesture;
    $("connect").addEventListener("click", () => connect(false));
    $("connect-any").addEventListener("click", () => connect(true));
    $("erase-word").addEventListener("input", consent);
    $("foreign-check").addEventListener("change", consent);
    $("write").addEventListener("click", write);
    $("leave").addEventListener("click", leave);
    $("again").addEventListener("click", () => {
      $("connect-say").textContent = "";
      $("chip").hidden = true;
      enter("word");
    });
    addEventListener("beforeunload", (event) => { if (BUSY.includes(state())) event.preventDefault(); });
    loadImages();
  },
};
