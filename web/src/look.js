// SPDX-License-Identifier: MIT
// Look: a running board's state, level, receipts and head, of what it says by itself and in reply to `hello`. Nothing is kept.
import { anchorCode } from "./anchor.js";
import { plain } from "./chip.js";
import { Listener, choosePort } from "./port.js";
import { $, duration, el, facts, number, wordText } from "./text.js";
import { hello, record, telemetry } from "./wire.js";
import { tables } from "../../build/web-tables.mjs";

const ASK_MS = 2000;
const SILENT_AFTER = 3; // unanswered questions
const SHOW_MS = 100;
const ROWS_MAX = 200;
const LOOK_DECIDED = 16; // a record's flag
const LID = {
  muted: "Muted: the switch has cut the coils' supply, and no software can open the lid.",
  closed: "Closed, says the board: the guarded microphone has no power.",
  open: "Open: the guarded microphone has power.",
  fault: "Fault: it opens no more until it is started anew. A contact that is welded stays live until the mute switch is pressed.",
};

let listener = null;
let seen = null;
let timers = [];

const fresh = () => ({ hi: {}, tm: {}, level: undefined, head: null, rows: [], asked: 0, lines: null, lost: 0, changed: true });

async function connect(every) {
  let port = null;
  try {
    port = await choosePort(every);
  } catch (error) {
    return end("idle", `The browser gave no port (${plain(error.message, 120)}).`);
  }
  if (!port) return end("idle", "No port was chosen. Nothing happened.");
  $("look").dataset.state = "opening";
  seen = fresh();
  listener = new Listener(port, take, (lost) => { if (lost) end("lost", "The board was unplugged, or its port is gone."); });
  try {
    await listener.open();
  } catch {
    listener = null;
    return end("idle", "The port cannot be opened: another program or page has it open, as earlid watch does. Close that, and try again.");
  }
  buttons(true);
  $("look-say").textContent = "Asking who is there…";
  timers = [setInterval(ask, ASK_MS), setInterval(show, SHOW_MS)];
  $("look-disconnect").focus();
  ask();
}

// A board answers a repeated number with its earlier reply: each question has its own.
function ask() {
  if (seen.asked >= SILENT_AFTER) silent();
  seen.asked += 1;
  listener.hello(Math.floor(Math.random() * tables.wire.seqWrap));
}

function silent() {
  const { tail } = listener;
  let text = "It does not answer. Is Earlid on it? Flash a board puts it on.";
  if (/>>> ?$/.test(tail)) text = "MicroPython answers: it carries no Earlid, or is in maintenance mode.";
  else if (tail.includes("waiting for download")) text = "It waits in its boot loader to be written: Flash a board does that.";
  $("look").dataset.state = "silent";
  $("look-say").textContent = text;
  $("look-live").hidden = true;
}

function take(body, seq) {
  if (seen.lines !== null && seq !== (seen.lines + 1) % tables.wire.seqWrap && seq > seen.lines) seen.lost += seq - seen.lines - 1;
  seen.lines = seq;
  const hi = hello(body);
  const row = record(body);
  if (hi.board) {
    Object.assign(seen, { hi, asked: 0 });
    if (hi.seq !== undefined && hi.link) seen.head = { seq: hi.seq, link: hi.link };
  }
  const tm = telemetry(body);
  if (tm.lvl !== undefined) seen.level = tm.lvl;
  if (tm.state) Object.assign(seen, { tm, hi: { ...seen.hi, state: tm.state, guarded_mv: tm.rail ?? seen.hi.guarded_mv } });
  if (row) {
    if (row.energy_log2_q8) seen.level = row.energy_log2_q8;
    if (!seen.head || row.seq > seen.head.seq) seen.head = { seq: row.seq, link: row.link };
    seen.rows = [row, ...seen.rows.filter((one) => one.seq !== row.seq)].slice(0, ROWS_MAX);
  }
  seen.changed = true;
}

const say = (id, text) => { if ($(id).textContent !== text) $(id).textContent = text; };

function show() {
  if (!seen.changed || !seen.hi.board) return;
  seen.changed = false;
  const { hi, head, level, rows } = seen;
  $("look").dataset.state = "live";
  $("look-live").hidden = false;
  say("look-say", `Connected to board ${hi.board}. It says of itself what follows; whether that is so, its receipts and earlid verify tell.`);
  const live = hi.state !== "open" && hi.guarded_mv > tables.railLiveMv;
  $("lid-state").dataset.lid = live ? "fault" : (hi.state ?? "");
  say("lid-state", live ? `Live: the guarded rail has ${number(hi.guarded_mv)} mV, and the board says ${hi.state}. Press the mute switch.` : (LID[hi.state] ?? "It does not say."));
  const asks = hi.ask ? `${hi.ask.do}, for ${duration(hi.ask.ms)} more` : "";
  facts($("lid-facts"), [
    ["Guarded rail", hi.guarded_mv === undefined ? "" : `${number(hi.guarded_mv)} mV`], ["Why", hi.why], ["Word", wordText(hi)],
    ["Mute switch", hi.mute === undefined ? "" : hi.mute ? "latched" : "released"], ["Talk button", hi.presence ? "held" : ""],
    ["Firmware", hi.fw && `Earlid ${hi.fw}`], ["Settings", hi.config === tables.uncalibrated ? "not calibrated" : ""],
    ["Start", hi.boot === undefined ? "" : `number ${number(hi.boot)}, ${duration(hi.ms ?? 0)} ago`],
    ["Records", hi.seq === undefined ? "" : `${number(head?.seq ?? hi.seq)}, ${number(hi.acked ?? 0)} of them fetched by a computer`],
    ["Waits for consent", asks], ["Maintenance", hi.maintenance ? "stopped for its REPL until its next start" : ""],
  ]);
  showLevel(level);
  const code = head?.seq ? anchorCode(head.seq, head.link) : "";
  say("head-code", code || "no record yet");
  say("head-hint", code ? `Record ${number(head.seq)} of board ${hi.board}. Write it down or photograph it: earlid verify --anchor ${code} then tells whether the records up to it are still the same.` : "");
  $("receipts-none").hidden = rows.length > 0;
  $("receipts").hidden = !rows.length;
  $("receipts").tBodies[0].replaceChildren(...rows.map(receipt));
  const bad = listener?.decoder.badLines ?? 0;
  say("line-quality", bad || seen.lost ? `${number(bad)} lines came damaged and were left out, ${number(seen.lost)} did not come.` : "");
}

function showLevel(level) {
  const { fullScale, dbPerQ8, low } = tables.level;
  const dbfs = level === undefined ? low : (level - fullScale) * dbPerQ8;
  $("level").value = dbfs;
  say("level-text", level === undefined ? "not known yet: it comes with each receipt, and with live numbers, which earlid watch asks for" : `${dbfs.toFixed(0)} dBFS${seen.tm.ms === undefined ? ", when the newest receipt was written" : ""}`);
}

function receipt(row) {
  const when = row.wall_ms ? new Date(row.wall_ms).toLocaleString() : `start ${number(row.boot)} + ${duration(row.ms)}`;
  return el("tr", { "data-seq": row.seq, "data-event": row.event },
    ...[number(row.seq), when, row.event, row.reason, details(row)].map((text) => el("td", {}, text)));
}

function details({ event, reason, score, flags, a, b }) {
  const how = flags & LOOK_DECIDED ? ", look" : "";
  if (event === "open") return reason === "word" ? `score ${score} of 255, cutoff ${b}${how}; for ${duration(a)}` : `for ${duration(a)}`;
  if (event === "close") return reason === "reset" ? `live at least ${duration(a)}` : `after ${duration(a)}`;
  if (event === "near-miss") return `score ${a} of 255, cutoff ${b}${how}`;
  if (event === "fault") return `measured ${number(a)}, threshold ${number(b)}`;
  if (event === "selftest") {
    const failed = tables.selfTest.filter(([bit]) => !(a & bit)).map(([, meaning]) => meaning);
    return failed.length ? `not: ${failed.join("; ")}` : "every item held";
  }
  return "";
}

function buttons(connected) {
  $("look-connect").hidden = $("look-any").hidden = connected;
  $("look-disconnect").hidden = !connected;
}

async function end(state, text) {
  timers.forEach(clearInterval);
  timers = [];
  const last = listener;
  listener = null;
  await last?.close();
  const held = document.activeElement === $("look-disconnect");
  buttons(false);
  if (held) $("look-connect").focus();
  $("look").dataset.state = state;
  $("look-say").textContent = text;
}

export const look = {
  begin() {
    $("look-connect").addEventListener("click", () => connect(false));
    $("look-any").addEventListener("click", () => connect(true));
    $("look-disconnect").addEventListener("click", () => look.disconnect("Disconnected. The board goes on by itself."));
  },
  async disconnect(text = "") {
    if (!listener) return;
    $("look-live").hidden = true;
    await end("idle", text);
  },
};
