// SPDX-License-Identifier: MIT
// The table: openings, or what else is asked for, newest first, a page at a time; and the owner's word on each.
{
  const { $, el } = earlid;
  const PAGE = 25;
  const BULK_MOST = 500;
  const PRINT_MOST = 5000;
  let page = 0;
  let lastQuery = "";
  let drawn = "";

  const chosenKind = () => {
    const { ledger } = earlid;
    const { openings, points, code, isOutside } = ledger;
    const kind = $("kind").value;
    const tests = {
      openings: () => true,
      word: (i) => openings.reason[i] === code.word,
      button: (i) => openings.reason[i] === code.button,
      unlabelled: (i) => openings.label[i] < 0 && !isOutside(i),
      check: (i) => openings.label[i] < 0 && openings.doubt[i] >= ledger.header.check,
      false: (i) => openings.label[i] === 0,
    };
    if (kind in tests) return { kind: "opening", table: openings, fits: tests[kind] };
    const near = (i) => points.event[i] === code["near-miss"];
    return { kind: kind === "near-miss" ? "near-miss" : "other", table: points, fits: kind === "near-miss" ? near : (i) => !near(i) };
  };

  // The rows asked for, newest first, before them a rail that was live with the lid closed and what has no certain time: how
  // many, and those of one page.
  const rows = ({ table, fits }, size = PAGE) => {
    const { view } = earlid;
    const all = $("scope").value === "all";
    const [first, end] = all ? [0, table.rows] : [table.lowerBound(view.t0), table.lowerBound(view.t1)];
    const found = [];
    let count = 0;
    const take = (i) => {
      if ((view.board >= 0 && table.board[i] !== view.board) || !fits(i)) return;
      if (count >= page * size && found.length < size) found.push(i);
      count += 1;
    };
    const { ledger, derived } = earlid;
    const isOutside = table === ledger.openings ? ledger.isOutside : () => false;
    if (table === ledger.openings) for (const i of derived.outside()) if (all || ledger.mayLieIn(i, view.t0, view.t1)) take(i);
    for (const i of derived.doubtful(table === ledger.openings ? "openings" : "points")) {
      if (!isOutside(i) && (all || ledger.mayLieIn(i, view.t0, view.t1, table))) take(i);
    }
    for (let i = end - 1; i >= first; i -= 1) if (!isOutside(i) && !ledger.isDoubtful(i, table)) take(i);
    return [count, found];
  };

  // What is "wide" is left out on a phone: the reason stands below the time there.
  const COLUMNS = {
    opening: [["When"], ["Why", "wide"], ["Live", "number"], ["Closed by", "wide"], ["Score", "number wide"], ["Record", "number wide"], ["Meant?"]],
    "near-miss": [["When"], ["Score", "number"], ["Record", "number wide"], ["Meant?"]],
    other: [["When"], ["What"], ["Why", "wide"], ["Record", "number wide"]],
  };

  const head = (kind) => {
    const cells = COLUMNS[kind].map(([name, style]) => el("th", { scope: "col", class: style }, name));
    $("list").tHead.replaceChildren(el("tr", {}, ...cells));
  };

  const reasonBadge = (reason) => el("span", { class: `why ${reason}` }, reason || "unknown");

  const cells = (kind, table, i) => {
    const { ledger } = earlid;
    const seq = String(table.seq[i]);
    if (kind === "near-miss") return [earlid.scoreText(table.score[i], table.b[i], table.flags[i]), seq, labelButtons(kind, table, i)];
    if (kind === "other") return [ledger.nameOf(table.event[i]), ledger.whyOf(i), seq];
    const reason = ledger.nameOf(table.reason[i]);
    const ended = ledger.nameOf(table.ended[i]);
    const live = ledger.isOpen(i) ? (ledger.isOutside(i) ? "LIVE" : "open") : earlid.boundsText(table.least[i], table.most[i]);
    const score = reason === "word" ? earlid.scoreText(table.score[i], table.cutoff[i], table.flags[i]) : "";
    const label = ledger.isOutside(i) ? "" : labelButtons(kind, table, i);
    return [reasonBadge(reason), live, ledger.isOpen(i) ? "not recorded yet" : ended, score, seq, label];
  };

  const labelButtons = (kind, table, i) => earlid.check.buttons({ kind, board: table.board[i], boot: table.boot[i], seq: table.seq[i] });

  const row = (kind, table, i) => {
    const { ledger, zone, view } = earlid;
    const item = earlid.timeline.itemOf(kind === "opening" ? "opening" : "point", i);
    const name = ledger.boards.length > 1 && view.board < 0 ? ledger.titleOf(item.board) : null;
    const reason = ledger.nameOf(table.reason[i]);
    const why = kind === "opening" ? reasonBadge(reason) : kind === "other" && ledger.whyOf(i);
    const doubt = earlid.uncertaintyText(table.unc[i]);
    const when = el(
      "button", { type: "button", class: "quiet", title: "Show it in the timeline", onclick: () => show(item) },
      el("span", {}, `${zone.shortDate(item.t)},`), " ",
      el("span", {}, zone.timeText(item.t)), doubt && " ", doubt && el("small", {}, doubt),
    );
    const columns = cells(kind, table, i).map((cell, at) => el("td", { class: COLUMNS[kind][at + 1][1] }, cell));
    const chosen = view.selected && view.selected.seq === item.seq && view.selected.boot === item.boot && view.selected.board === item.board;
    return el("tr", { "data-key": `${item.board}.${item.boot}.${item.seq}`, class: [chosen && "chosen", kind === "opening" && ledger.isOutside(i) && "outside"].filter(Boolean).join(" ") || null },
      el("th", { scope: "row" }, when, el("small", {}, why ? el("span", { class: "below" }, why) : null, name)), ...columns);
  };

  const show = (item) => {
    const { view } = earlid;
    if (view.t1 - view.t0 > 4 * 36e5) view.set(item.t - 30 * 6e4, item.t + 30 * 6e4);
    view.select(item);
    earlid.gestures.details();
    $("timeline").scrollIntoView({ block: "start" });
    $("lanes").focus({ preventScroll: true });
    earlid.announce(earlid.gestures.describe(item).join(". "));
  };

  const draw = () => {
    if (!earlid.ledger.loaded || printing) return;
    const { view } = earlid;
    const key = [$("kind").value, $("scope").value, view.board, ...($("scope").value === "all" ? [] : [view.t0, view.t1])].join();
    if (key !== lastQuery) page = 0;
    lastQuery = key;
    const what = chosenKind();
    let [count, found] = rows(what);
    if (page && !found.length) {
      page = Math.max(0, Math.ceil(count / PAGE) - 1);
      [count, found] = rows(what);
    }
    const held = document.activeElement?.closest?.("#list tr")?.dataset.key;
    const word = document.activeElement?.dataset?.word;
    const made = found.map((i) => row(what.kind, what.table, i));
    const text = [what.kind, ...made.map((item) => item.outerHTML)].join();
    if (text !== drawn) { // a live page asks every second: a button that is being pressed must stay the same button
      drawn = text;
      head(what.kind);
      $("list").tBodies[0].replaceChildren(...made);
      if (held) {
        const again = $("list").querySelector(`tr[data-key="${held}"] ${word ? `[data-word="${word}"]` : "button"}`);
        again?.focus({ preventScroll: true });
      }
    }
    const pages = Math.max(1, Math.ceil(count / PAGE));
    const listed = count ? earlid.countText(count, "record") : "None in the time shown above.";
    if ($("listed").textContent !== listed) $("listed").textContent = listed;
    $("page-number").textContent = `Page ${page + 1} of ${pages.toLocaleString("en")}`;
    $("newer").disabled = page === 0;
    $("older").disabled = page + 1 >= pages;
    $("openings").querySelector("nav").hidden = pages === 1;
    $("how").hidden = earlid.ledger.live;
    bulk(what, count);
  };

  // One word for everything listed that has none yet.
  let listed = [];
  const bulk = (what, count) => {
    const { table, kind } = what;
    const one = page;
    page = 0;
    listed = !earlid.ledger.live || kind !== "opening" || count > BULK_MOST ? []
      : rows(what, BULK_MOST)[1].filter((i) => table.label[i] < 0 && !earlid.ledger.isOutside(i)).map((i) => earlid.timeline.itemOf("opening", i));
    page = one;
    $("bulk").hidden = listed.length < 2;
    $("bulk-count").textContent = `All ${listed.length} without a label:`;
  };

  // Printed are all rows of the time shown, not one page of them.
  let printing = false;
  const printAll = (whole) => {
    printing = whole;
    earlid.paint.forPrint(whole);
    const what = chosenKind();
    const one = page;
    if (whole) page = 0;
    const [count, found] = rows(what, whole ? PRINT_MOST : PAGE);
    page = one;
    $("list").tBodies[0].replaceChildren(...found.map((i) => row(what.kind, what.table, i)));
    drawn = "";
    $("printed").hidden = !whole || count <= PRINT_MOST;
    $("printed").textContent = `${earlid.countText(count - PRINT_MOST, "earlier record")} not printed: choose a shorter time.`;
  };

  const start = () => {
    addEventListener("beforeprint", () => printAll(true));
    addEventListener("afterprint", () => printAll(false));
    for (const button of document.querySelectorAll("#bulk button")) {
      button.addEventListener("click", () => earlid.check.label(listed, button.dataset.word === "Yes"));
    }
    $("how").textContent = "To say that an opening was not meant: earlid review label NUMBER false, or click in earlid review --serve.";
    for (const id of ["kind", "scope"]) $(id).addEventListener("change", draw);
    $("newer").addEventListener("click", () => turnPage(-1));
    $("older").addEventListener("click", () => turnPage(1));
  };

  const turnPage = (by) => {
    draw(); // the view may have moved since: then it is its first page that is turned
    page += by;
    draw();
  };

  earlid.listing = { draw, start, show };
}
