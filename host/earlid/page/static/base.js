// SPDX-License-Identifier: MIT
"use strict";
// Helpers that every part uses: elements, words for spans and numbers, the voice for screen readers.
globalThis.earlid ??= {};
{
  const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

  earlid.$ = (id) => document.getElementById(id);

  // Text goes in as text nodes, never as HTML: names come from the ledger and may hold anything.
  earlid.el = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "onclick") element.addEventListener("click", value);
      else if (value === true) element.setAttribute(name, "");
      else if (value !== false && value != null) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child != null));
    return element;
  };

  earlid.clamp = (value, low, high) => Math.min(high, Math.max(low, value));

  // How many of the first `size` numbers, which rise, are below a value.
  earlid.lowerBound = (sorted, size, value) => {
    let low = 0;
    let high = size;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sorted[middle] < value) low = middle + 1;
      else high = middle;
    }
    return low;
  };

  const twoDigits = (number) => String(number).padStart(2, "0");

  // The same words as the command line's: 0.4 s, 3 min 20 s, 2 h 05 min.
  earlid.durationText = (ms) => {
    if (ms < 60000) return `${(ms / 1000).toFixed(1)} s`;
    const seconds = Math.floor(ms / 1000);
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${twoDigits(seconds % 60)} s`;
    return `${Math.floor(seconds / 3600)} h ${twoDigits(Math.floor((seconds % 3600) / 60))} min`;
  };

  // A duration between two bounds, in the command line's words; most is -1 where nothing bounds it.
  earlid.boundsText = (least, most) => {
    if (most < 0) return `at least ${earlid.durationText(least)}`;
    const digit = most < 6e4 ? 100 : most < 36e5 ? 1000 : 6e4;
    if (most - least <= digit) return earlid.durationText(most);
    const lower = earlid.durationText(least);
    return `${most < 6e4 ? lower.replace(/ s$/, "") : lower} to ${earlid.durationText(Math.ceil(most / digit) * digit)}`;
  };

  // The one notation of a score, as in scores.py.
  const LOOK = 16; // a record's flag
  earlid.scoreText = (score, cutoff, flags) => `${score} of 255, cutoff ${cutoff}${flags & LOOK ? ", look" : ""}`;

  earlid.uncertaintyText = (ms) => {
    if (ms < 1000) return "";
    if (ms === 10 * 366 * 864e5) return "or before";
    for (const [size, unit] of [[366 * 864e5, "y"], [864e5, "d"], [36e5, "h"], [6e4, "min"]]) {
      if (ms >= 2 * size) return `±${Math.floor(ms / size)}\u00a0${unit}`;
    }
    return `±${Math.floor(ms / 1000)}\u00a0s`;
  };

  earlid.countText = (number, word, words = `${word}s`) => `${number.toLocaleString("en")} ${number === 1 ? word : words}`;
  earlid.monthName = (month) => MONTHS[month];
  earlid.twoDigits = twoDigits;

  earlid.debounce = (wait_ms, act) => {
    let timer = 0;
    return () => {
      clearTimeout(timer);
      timer = setTimeout(act, wait_ms);
    };
  };

  earlid.announce = (text) => {
    if (earlid.$("said").textContent !== text) earlid.$("said").textContent = text;
  };

  earlid.showError = (text) => {
    earlid.$("trouble").hidden = !text;
    earlid.$("trouble").textContent = text;
  };
}
