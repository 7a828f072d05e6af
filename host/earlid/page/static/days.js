// SPDX-License-Identifier: MIT
// Live time per day, and in which hours of each: one chart, one column a day.
{
  const { $, el } = earlid;
  const BARS = 84;
  const ROW = 6;
  const LABELS = 22;
  const LEFT = 44;
  const days = { first: 0, size: 1, picked: null };
  let drawn = "";
  let anchored = null; // the last day shown, when the user paged away from the newest

  const range = () => {
    const all = earlid.ledger.daily(earlid.view.board);
    const wide = $("days-canvas").clientWidth - LEFT;
    const most = Math.max(7, Math.floor(wide / 9));
    const size = Math.min(all.size, most);
    const end = earlid.clamp(anchored === null ? all.size : anchored, size, all.size);
    Object.assign(days, { size, first: all.first + end - size, column: Math.min(48, wide / size) });
    return all;
  };

  const roundUpScale = (ms) => [1e3, 2e3, 5e3, 1e4, 2e4, 3e4, 6e4, 12e4, 3e5, 6e5, 12e5, 18e5, 36e5, 72e5, 144e5, 288e5, 432e5].find((top) => top >= ms) ?? 864e5;

  days.draw = () => {
    const { ledger, paint, zone, view } = earlid;
    if (!ledger.loaded) return;
    const all = range();
    const left = Math.max(zone.dayNumber(view.t0), days.first);
    const right = Math.min(zone.dayNumber(view.t1 - 1), days.first + days.size - 1);
    const held = document.activeElement === $("days-canvas") ? days.picked : null;
    const state = [ledger.version, view.board, days.first, days.size, days.column, left, right, held, devicePixelRatio];
    const ink = paint.colours().ink;
    if ([...state, ink].join() === drawn) return; // moving within a day changes nothing here
    drawn = [...state, ink].join();
    const [ctx] = paint.fit($("days-canvas"), 12 + BARS + LABELS + 24 * ROW + 4);
    const colour = paint.colours();
    const from = days.first - all.first;
    let most = 0;
    let fullest = 0;
    for (let day = from; day < from + days.size; day += 1) most = Math.max(most, all.live_ms[day]);
    for (let hour = from * 24; hour < (from + days.size) * 24; hour += 1) fullest = Math.max(fullest, all.hours[hour]);
    const top = roundUpScale(most);
    scale(ctx, colour, top);
    const heat = 12 + BARS + LABELS;
    const pad = days.column > 5 ? 1 : 0.4;
    for (let column = 0; column < days.size; column += 1) {
      const day = from + column;
      const x = LEFT + column * days.column;
      const high = all.live_ms[day] ? Math.max(2, (all.live_ms[day] / top) * BARS) : 0;
      ctx.fillStyle = colour.word;
      ctx.fillRect(x + pad, 12 + BARS - high, days.column - 2 * pad, high);
      if (all.notMeant[day]) {
        ctx.fillStyle = colour.false;
        ctx.fillRect(x + pad, 12 + BARS - Math.min(high, 5), days.column - 2 * pad, Math.min(high, 5));
      }
      for (let hour = 0; hour < 24; hour += 1) {
        const live = all.hours[day * 24 + hour];
        ctx.fillStyle = live ? colour.word : colour.line;
        ctx.globalAlpha = live ? 0.3 + 0.7 * (Math.log1p(live / 1000) / Math.log1p(fullest / 1000)) : 0.4;
        ctx.fillRect(x + pad, heat + hour * ROW + 0.5, days.column - 2 * pad, ROW - 1);
        ctx.globalAlpha = 1;
      }
    }
    labels(ctx, colour, heat);
    ctx.lineWidth = 2;
    if (left <= right) frame(ctx, colour.soft, left, right - left + 1, heat);
    if (held !== null) frame(ctx, colour.focus, held, 1, heat);
    const span = `${zone.dateText(zone.dayStart(days.first))} to ${zone.dateText(zone.dayStart(days.first + days.size - 1))}`;
    $("days-range").textContent = days.size > 1 ? span : zone.dateText(zone.dayStart(days.first));
    for (const [name, off] of [["earlier", days.first <= all.first], ["later", days.first + days.size >= all.first + all.size]]) {
      document.querySelector(`[data-days="${name}"]`).disabled = off;
    }
  };

  const scale = (ctx, colour, top) => {
    ctx.strokeStyle = colour.line;
    ctx.fillStyle = colour.soft;
    ctx.lineWidth = 1;
    const name = (ms) => (ms < 6e4 ? `${ms / 1000} s` : ms < 36e5 ? `${ms / 6e4} min` : `${ms / 36e5} h`);
    for (const share of [0, 0.5, 1]) {
      const y = Math.round(12 + BARS * (1 - share)) + 0.5;
      ctx.beginPath();
      ctx.moveTo(LEFT, y);
      ctx.lineTo(LEFT + days.size * days.column, y);
      ctx.stroke();
      if (share) ctx.fillText(share === 1 ? name(top) : "", 0, y + 4);
    }
  };

  const labels = (ctx, colour, heat) => {
    ctx.fillStyle = colour.soft;
    for (const hour of [0, 6, 12, 18]) ctx.fillText(earlid.twoDigits(hour), 22, heat + hour * ROW + 9);
    let free = -Infinity;
    for (let column = 0; column < days.size; column += 1) {
      const at = earlid.zone.local(earlid.zone.dayStart(days.first + column) + 1);
      const named = at.getUTCDate() === 1 || column === 0;
      const text = named ? `${at.getUTCDate()} ${earlid.monthName(at.getUTCMonth())}` : `${at.getUTCDate()}`;
      const x = LEFT + column * days.column;
      const due = days.column > 22 || at.getUTCDay() === 1 || named;
      if (!due || x < free) continue;
      ctx.fillText(text, x + 1, heat - 7);
      free = x + ctx.measureText(text).width + 8;
    }
  };

  const frame = (ctx, colour, day, count, heat) => {
    ctx.strokeStyle = colour;
    ctx.strokeRect(LEFT + (day - days.first) * days.column, 5, count * days.column, heat + 24 * ROW - 4);
  };

  const liveText = (all, at) => earlid.boundsText(all.least_ms[at], all.unbounded[at] ? -1 : all.live_ms[at]);

  const describeDay = (day) => {
    const all = earlid.ledger.daily(earlid.view.board);
    const at = day - all.first;
    const parts = [
      `live ${liveText(all, at)} in ${earlid.countText(all.openings[at], "opening")}`,
      earlid.countText(all.near[at], "near miss", "near misses"),
    ];
    if (all.notMeant[at]) parts.push(`${all.notMeant[at]} labelled not meant`);
    return `${earlid.zone.dateText(earlid.zone.dayStart(day))}: ${parts.join(", ")}.`;
  };

  const pick = (day) => {
    const all = earlid.ledger.daily(earlid.view.board);
    days.picked = earlid.clamp(day, all.first, all.first + all.size - 1);
    if (days.picked < days.first) anchored = days.picked - all.first + days.size;
    if (days.picked >= days.first + days.size) anchored = days.picked - all.first + 1;
    $("days-said").textContent = describeDay(days.picked);
    days.draw();
  };

  const turnPage = (forth) => {
    const all = earlid.ledger.daily(earlid.view.board);
    const end = days.first - all.first + days.size + (forth ? days.size : -days.size);
    anchored = end >= all.size ? null : Math.max(end, days.size);
    days.draw();
    table();
  };

  const table = () => {
    const box = $("days-details").querySelector("div");
    if (!$("days-details").open || !earlid.ledger.loaded) return;
    const all = earlid.ledger.daily(earlid.view.board);
    const body = el("tbody");
    for (let day = days.first + days.size - 1; day >= days.first; day -= 1) {
      const at = day - all.first;
      const show = el("button", { type: "button", class: "quiet", onclick: () => earlid.view.showDays(day) });
      show.textContent = earlid.zone.dateText(earlid.zone.dayStart(day));
      const cells = [liveText(all, at), all.openings[at], all.notMeant[at], all.near[at]];
      body.append(el("tr", {}, el("th", { scope: "row" }, show), ...cells.map((text) => el("td", { class: "number" }, String(text)))));
    }
    const names = ["Day", "Live", "Openings", "Not meant", "Near misses"];
    const head = el("thead", {}, el("tr", {}, ...names.map((name) => el("th", { scope: "col" }, name))));
    box.replaceChildren(el("table", {}, head, body));
  };

  days.refresh = () => {
    days.draw();
    table();
  };

  days.start = () => {
    const canvas = $("days-canvas");
    const at = (event) => {
      const column = Math.floor((event.clientX - canvas.getBoundingClientRect().left - LEFT) / days.column);
      return column >= 0 && column < days.size ? days.first + column : null;
    };
    canvas.addEventListener("pointermove", (event) => {
      if (at(event) !== null) $("days-said").textContent = describeDay(at(event));
    });
    canvas.addEventListener("click", (event) => {
      if (at(event) === null) return;
      pick(at(event));
      earlid.view.showDays(at(event));
    });
    canvas.addEventListener("keydown", (event) => {
      const from = days.picked ?? days.first + days.size - 1;
      const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -days.size, PageDown: days.size, Home: -1e6, End: 1e6 };
      if (event.key in steps) pick(from + steps[event.key]);
      else if (event.key === "Enter" || event.key === " ") earlid.view.showDays(from);
      else return;
      event.preventDefault();
    });
    for (const kind of ["focus", "blur"]) canvas.addEventListener(kind, days.draw);
    document.querySelectorAll("[data-days]").forEach((button) => {
      button.addEventListener("click", () => turnPage(button.dataset.days === "later"));
    });
    $("days-details").addEventListener("toggle", table);
  };

  earlid.days = days;
}
