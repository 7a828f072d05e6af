// SPDX-License-Identifier: MIT
// Was it me? The openings that were likely not meant, one after the other; labels, said back, and undo.
{
  const { $, el } = earlid;
  const done = []; // what Undo takes back: [[item, the word before], ...]
  const later = new Set();
  let asked = null;

  const keyOf = ({ board, boot, seq }) => `${board}.${boot}.${seq}`;
  const wordText = (word) => (word === null ? "no label" : word ? "meant" : "not meant");
  const labelOf = (item) => {
    const table = item.kind === "opening" ? earlid.ledger.openings : earlid.ledger.points;
    const i = table.find(item.board, item.boot, item.seq);
    return [table, i, i < 0 || table.label[i] < 0 ? null : table.label[i] === 1];
  };

  const signsOf = (i) => earlid.ledger.header.signs.filter((_, bit) => (earlid.ledger.openings.signs[i] >> bit) & 1).join("; ");

  const rowsToCheck = () => {
    const { ledger, view, derived } = earlid;
    const { openings } = ledger;
    return derived.likely().filter((i) => openings.label[i] < 0 && (view.board < 0 || openings.board[i] === view.board));
  };

  const say = (text) => {
    for (const place of document.querySelectorAll("[data-said]")) place.querySelector("span").textContent = text;
    for (const button of document.querySelectorAll("[data-undo]")) button.hidden = !done.length;
  };

  const describe = (items, word) => {
    if (items.length > 1) return `${items.length} openings: ${wordText(word)}.`;
    const [table, i] = labelOf(items[0]);
    const { zone } = earlid;
    return `Record ${items[0].seq}, ${zone.dateText(table.t[i])}, ${zone.timeText(table.t[i])}: ${wordText(word)}.`;
  };

  const label = async (items, word) => {
    const before = items.map((item) => [item, labelOf(item)[2]]);
    if (!items.length || !(await earlid.live.setLabels(items.map((item) => [item, word])))) return;
    done.push(before);
    say(describe(items, word));
  };

  const undo = async () => {
    const last = done.pop();
    if (!last) return;
    if (!(await earlid.live.setLabels(last))) {
      done.push(last);
      return;
    }
    last.forEach(([item]) => later.delete(keyOf(item)));
    say(`Taken back. ${describe(last.map(([item]) => item), last[0][1])}`);
    draw();
  };

  // Yes and No beside a record; in a report its label alone.
  const buttons = (item) => {
    if (item.kind === "opening" && earlid.ledger.isOutside(labelOf(item)[1])) return "";
    const [table, i, word] = labelOf(item);
    if (item.kind === "point" && table.event[i] !== earlid.ledger.code["near-miss"]) return "";
    if (!earlid.ledger.live) return el("span", { class: word === false ? "not" : "" }, word === null ? "–" : word ? "yes" : "no");
    const what = item.kind === "opening" ? "Opening" : "Near miss";
    const button = (text, value) => el(
      "button",
      {
        type: "button", class: "answer", "aria-pressed": String(word === value), "data-word": text,
        "aria-label": `${what} ${item.seq}: ${value ? "it was meant" : "it was not meant"}`,
        onclick: () => label([item], word === value ? null : value),
      },
      text,
    );
    return el("span", { class: "joined" }, button("Yes", true), button("No", false));
  };

  const draw = () => {
    const { ledger, timeline, gestures } = earlid;
    if (!ledger.loaded) return;
    const rows = rowsToCheck();
    $("check").hidden = !rows.length && !done.length;
    const items = Array.from(rows, (i) => timeline.itemOf("opening", i));
    asked = items.find((item) => !later.has(keyOf(item))) ?? null;
    $("to-check").textContent = `${rows.length.toLocaleString("en")} to check`;
    const lines = asked ? gestures.describe(asked) : [rows.length ? "The others are for later." : "Nothing is left to check."];
    const who = asked && ledger.boards.length > 1 ? `${ledger.titleOf(asked.board)}: ` : "";
    const [first, when, ...rest] = lines;
    $("asked").replaceChildren(...[when && el("strong", {}, `${who}${when}`), el("span", {}, first), ...rest.map((text) => el("span", {}, text))].filter(Boolean));
    for (const button of document.querySelectorAll("#answers [data-answer]")) button.hidden = !asked && !["undo", "again"].includes(button.dataset.answer);
    for (const button of document.querySelectorAll("#answers .live")) button.hidden ||= !ledger.live;
    $("rest").textContent = `I meant all ${rows.length}`;
    $("rest").hidden ||= rows.length < 2;
    $("undo").hidden = !done.length;
    $("again-later").hidden = Boolean(asked) || !rows.length;
    $("check-how").hidden = ledger.live;
    for (const place of document.querySelectorAll("[data-said]")) place.hidden = !ledger.live;
  };

  const ACTIONS = {
    yes: () => asked && label([asked], true),
    no: () => asked && label([asked], false),
    later: () => {
      if (asked) later.add(keyOf(asked));
      draw();
    },
    rest: () => label(Array.from(rowsToCheck(), (i) => earlid.timeline.itemOf("opening", i)), true),
    undo,
    again: () => {
      later.clear();
      draw();
    },
    show: () => asked && earlid.listing.show(asked),
  };
  const KEYS = { y: "yes", n: "no", l: "later", u: "undo", s: "show" };

  const start = () => {
    $("check").addEventListener("click", (event) => ACTIONS[event.target.closest("[data-answer]")?.dataset.answer]?.());
    $("check").addEventListener("keydown", (event) => {
      const action = KEYS[event.key.toLowerCase()];
      if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
      if (!earlid.ledger.live && !["later", "show"].includes(action)) return;
      event.preventDefault();
      ACTIONS[action]();
    });
    for (const button of document.querySelectorAll("[data-undo]")) button.addEventListener("click", undo);
  };

  earlid.check = { start, draw, label, buttons, signsOf };
}
