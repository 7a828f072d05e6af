// SPDX-License-Identifier: MIT
// Text: elements and words that both parts use. What comes from a board goes in as text nodes, never as HTML.
import { plain } from "./chip.js";
import { tables } from "../../build/web-tables.mjs";

export const $ = (id) => document.getElementById(id);

export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Fills a `dl`; facts without a value are left out.
export function facts(list, rows) {
  list.replaceChildren(...rows.filter(([, value]) => value !== "" && value !== undefined)
    .map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, String(value)))));
}

export const number = (value) => value.toLocaleString("en");

// The same words as the command line's: 0.4 s, 3 min 20 s, 2 h 05 min.
export function duration(ms) {
  const two = (value) => String(value).padStart(2, "0");
  if (ms < 60000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.floor(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${two(Math.floor((seconds % 3600) / 60))} min`;
}

// Why a board does not listen for its word; empty when it does, or does not say.
export function noWord(hi) {
  if (hi.no_word === "no-memory" && hi.missing) return `${number(hi.missing)} bytes found no place`;
  return hi.no_word ? (tables.noWord[hi.no_word] ?? hi.no_word) : "";
}

// The word that a board listens for, as `earlid flash` says it.
export function wordText(hi) {
  if (noWord(hi)) return `does not listen for its word (${noWord(hi)})`;
  if (hi.word === undefined) return "";
  return hi.word ? `listens for “${plain(hi.word)}”` : "has no word";
}

// How long a stage will still take at the speed it had, as `, about 9 s left`; empty while too little is known.
export function timeLeft(done, total, spentMs) {
  const { estimateAfterMs, estimateAfterShare } = tables.flasher;
  if (total <= 0 || spentMs < estimateAfterMs || done < total * estimateAfterShare) return "";
  return `, about ${Math.round((spentMs * (total - done)) / done / 1000)} s left`;
}
