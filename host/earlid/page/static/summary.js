// SPDX-License-Identifier: MIT
// The sentence at the top, the boards, and the sums of the time shown.
{
  const { $, el } = earlid;
  const together = (text) => text.replaceAll(" ", "\u00a0");

  const lastOpening = () => {
    const { ledger, view, zone } = earlid;
    const { openings } = ledger;
    let i = openings.rows - 1;
    while (i >= 0 && view.board >= 0 && openings.board[i] !== view.board) i -= 1;
    return i < 0 ? "" : ` The last was on ${together(`${zone.shortDate(openings.t[i])} at ${zone.minuteText(openings.t[i])}`)}.`;
  };

  const lead = () => {
    const { ledger, view, zone } = earlid;
    const [, high] = ledger.bounds();
    const day = zone.dayNumber(high);
    const sum = ledger.totals(zone.dayStart(day), zone.dayStart(day + 1), view.board);
    const today = ledger.live && day === zone.dayNumber(ledger.now());
    const when = today ? "Today" : `On ${zone.dateText(high)}`;
    const whose = ledger.boards.length > 1 && view.board < 0 ? "your microphones were" : "your microphone was";
    if (!ledger.boards.length) return "The ledger has no board yet: run earlid watch with a board plugged in.";
    if (!sum.openings && !sum.outside && !sum.most_ms) {
      const near = sum.near ? `, only ${earlid.countText(sum.near, "near miss", "near misses")}` : "";
      return `${when} no opening is recorded${near}.${lastOpening()}`;
    }
    const why = [sum.word && `${sum.word} by the word`, sum.button && `${sum.button} by the button`].filter(Boolean);
    const outside = sum.outside ? ` ${earlid.countText(sum.outside, "time")} of it with the lid closed: see the table.` : "";
    const wrong = sum.notMeant ? ` You said of ${sum.notMeant} that you did not mean it.` : "";
    const reasons = why.length ? `: ${why.join(", ")}` : "";
    return `${when}, ${whose} live for ${together(earlid.boundsText(sum.least_ms, sum.most_ms))} in ${together(earlid.countText(sum.openings, "opening"))}${reasons}.${outside}${wrong}`;
  };

  const boards = () => {
    const { ledger } = earlid;
    const alarms = [];
    const items = ledger.boards.map((board, number) => {
      const { state, alarm, text } = ledger.lidOf(number);
      if (alarm) alarms.push(`${ledger.titleOf(number)}: ${text}.`);
      return el(
        "li", { "data-state": state, class: alarm && "alarm" },
        el("i", { "aria-hidden": "true" }), el("strong", {}, ledger.titleOf(number)), el("span", {}, text),
        earlid.verdict.broken.has(board.board) ? el("a", { class: "bad", href: "#verdict" }, "its chain is broken") : null,
      );
    });
    $("boards").replaceChildren(...items);
    if ($("alarms").textContent !== alarms.join(" ")) $("alarms").textContent = alarms.join(" ");
  };

  const tiles = () => {
    const { ledger, view, zone } = earlid;
    const sum = ledger.totals(view.t0, view.t1, view.board);
    const live = earlid.boundsText(sum.least_ms, sum.most_ms);
    const shown = [
      ["Live", live.replace(/(\d) (?=[a-z])/g, "$1\u00a0"), sum.outside ? `${earlid.countText(sum.outside, "time")} with the lid closed` : ""],
      ["Openings", sum.openings.toLocaleString("en"), `${sum.word} word, ${sum.button} button`],
      ["Not meant", sum.notMeant.toLocaleString("en"), "as you labelled them"],
      ["Near misses", sum.near.toLocaleString("en"), "the lid stayed closed"],
      ["Faults", sum.faults.toLocaleString("en"), earlid.countText(sum.boots, "start")],
    ];
    $("tiles").replaceChildren(
      ...shown.map(([name, value, more]) => el("div", {}, el("dt", {}, name), el("dd", {}, value, more ? el("small", {}, more) : null))),
    );
    const range = zone.rangeText(view.t0, view.t1);
    const text = `${range}: live ${live} in ${earlid.countText(sum.openings, "opening")}, `
      + `${earlid.countText(sum.near, "near miss", "near misses")}, ${earlid.countText(sum.faults, "fault")}.`;
    $("lanes").setAttribute("aria-label", `Timeline, ${text}`);
    return text;
  };

  let announced = "";
  const settled = () => {
    if (!earlid.ledger.loaded) return;
    const text = tiles();
    // Spoken only while the timeline is what the reader is moving: a live page must not talk all day.
    if (text !== announced && $("timeline").contains(document.activeElement) && !earlid.view.selected) earlid.announce(text);
    announced = text;
  };

  const range = () => {
    const text = earlid.zone.rangeText(earlid.view.t0, earlid.view.t1);
    if ($("range").textContent !== text) $("range").textContent = text;
  };

  const top = () => {
    const text = lead();
    if ($("lead").textContent !== text) $("lead").textContent = text;
    boards();
  };

  const foot = () => {
    const { ledger, zone } = earlid;
    const { header } = ledger;
    const rows = ledger.openings.rows + ledger.points.rows;
    const made = ledger.live ? "" : ` Made ${zone.dateText(header.made)}, ${zone.timeText(header.made)}.`;
    const what = `${earlid.countText(ledger.openings.rows, "opening")} and ${earlid.countText(rows - ledger.openings.rows, "other record")}.`;
    const doubt = "± after a time: the board has no clock, this is how far off its time may be.";
    $("foot").textContent = `${what} Times are those of ${header.zone.name}. ${doubt}${made}`;
  };

  const pick = () => {
    const { ledger, view } = earlid;
    $("pick").hidden = ledger.boards.length < 2;
    const options = ledger.boards.map((_, number) => el("option", { value: number }, ledger.titleOf(number)));
    $("board").replaceChildren(el("option", { value: -1 }, "all"), ...options);
    if (view.board >= ledger.boards.length) view.board = -1;
    $("board").value = String(view.board);
  };

  // A chart of hardly any days, or of no scores, says nothing; of an empty ledger the first sentence says all.
  const empty = () => {
    const { ledger, zone, derived } = earlid;
    const [low, high] = ledger.bounds();
    document.body.classList.toggle("empty", ledger.openings.rows + ledger.points.rows === 0);
    $("days").hidden = zone.dayNumber(high) - zone.dayNumber(low) < 2;
    $("scores-card").hidden = !derived.word(-1).t.length && !derived.near(-1).t.length;
  };

  const refresh = () => {
    top();
    empty();
    pick();
    foot();
  };

  const start = () => {
    $("board").addEventListener("change", () => {
      earlid.view.board = Number($("board").value);
      top();
      earlid.check.draw();
      earlid.days.refresh();
      earlid.view.changed();
    });
  };

  // What a lid is turns with time alone, too.
  let lidsShown = "";
  const lids = () => {
    const text = earlid.ledger.boards.map((_, number) => earlid.ledger.lidOf(number).text).join();
    if (text === lidsShown) return;
    lidsShown = text;
    boards();
  };

  earlid.summary = { refresh, top, lids, range, settled, start };
}
