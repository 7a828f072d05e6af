// SPDX-License-Identifier: MIT
// Canvas helpers: sharp on every screen, in the page's colours, light or dark.
{
  const NAMES = ["ink", "soft", "line", "ground", "card", "on-bar", "word", "button", "near", "false", "muted", "fault", "boot", "focus"];
  const DAY_MS = 864e5;
  let colours = null;

  // Steps of an axis of time: [ms, or months], and how a tick reads.
  const STEPS = [1e2, 2e2, 5e2, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5, 108e5, 216e5, 432e5];
  const DAY_STEPS = [1, 2, 7, 14];
  const MONTH_STEPS = [1, 2, 3, 6, 12, 24, 60, 120];

  const paint = {};

  paint.colours = () => {
    if (!colours) {
      const style = getComputedStyle(document.documentElement);
      colours = Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
      colours.font = `12px ${style.getPropertyValue("--font")}`;
      colours.bold = `600 12px ${style.getPropertyValue("--font")}`;
    }
    return colours;
  };
  // Red, green, blue (0 to 255) of one of the page's colours, which are written #rrggbb.
  paint.rgb = (name) => [1, 3, 5].map((at) => parseInt(paint.colours()[name].slice(at, at + 2), 16));

  // Paper is light: everything is drawn anew for it, at once.
  paint.forPrint = (printing) => {
    document.documentElement.classList.toggle("printing", printing);
    colours = null;
    for (const part of ["timeline", "days", "scores"]) earlid[part].draw();
  };

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    colours = null;
    earlid.view.changed();
  });

  // The drawing context of a canvas as wide as its place and `height` high, cleared; its numbers are CSS pixels.
  paint.fit = (canvas, height) => {
    const width = canvas.clientWidth;
    const sharp = Math.min(3, window.devicePixelRatio || 1);
    if (canvas.style.height !== `${height}px`) canvas.style.height = `${height}px`;
    if (canvas.width !== Math.round(width * sharp) || canvas.height !== Math.round(height * sharp)) {
      canvas.width = Math.round(width * sharp);
      canvas.height = Math.round(height * sharp);
    }
    const ctx = canvas.getContext("2d");
    ctx.setTransform(sharp, 0, 0, sharp, 0, 0);
    ctx.clearRect(0, 0, width, height);
    ctx.font = paint.colours().font;
    ctx.textBaseline = "alphabetic";
    return [ctx, width];
  };

  const clockLabel = (ms, step) => {
    const text = earlid.zone.timeText(ms);
    if (step >= 6e4) return earlid.zone.minuteText(ms);
    return step >= 1e3 ? text : `${text.slice(6, 8)}.${Math.floor((ms % 1000) / 100)}`;
  };

  const dayTicks = (t0, t1, days) => {
    const { zone } = earlid;
    const ticks = [];
    // Weeks begin on Monday: day 4 of Unix time was one.
    for (let day = Math.ceil((zone.dayNumber(t0) - 4) / days) * days + 4; zone.dayStart(day) <= t1; day += days) {
      const at = zone.dayStart(day);
      if (at >= t0) ticks.push([at, zone.shortDate(at).replace(/^\w+ /, days < 7 ? "$&" : "")]);
    }
    return ticks;
  };

  const monthTicks = (t0, t1, months) => {
    const { zone } = earlid;
    const ticks = [];
    const from = zone.local(t0);
    let month = Math.ceil((from.getUTCFullYear() * 12 + from.getUTCMonth()) / months) * months;
    for (; ; month += months) {
      const at = zone.toUtc(Date.UTC(Math.floor(month / 12), month % 12, 1));
      if (at > t1) return ticks;
      const name = earlid.monthName(month % 12);
      if (at >= t0) ticks.push([at, month % 12 && months < 12 ? name : months < 12 ? `${name} ${Math.floor(month / 12)}` : `${Math.floor(month / 12)}`]);
    }
  };

  // Where an axis of time is marked, so that labels of about 80 pixels fit: {ticks: [[ms, label]], days: [ms of midnights]}.
  paint.axis = (t0, t1, width) => {
    const { zone } = earlid;
    const least = ((t1 - t0) / width) * 76;
    const step = STEPS.find((ms) => ms >= least);
    if (step) {
      const ticks = [];
      for (let at = Math.ceil((t0 + zone.offset(t0)) / step) * step; ; at += step) {
        const ms = zone.toUtc(at);
        if (ms > t1) break;
        if (ms >= t0 && at % DAY_MS !== 0) ticks.push([ms, clockLabel(ms, step)]);
      }
      return { ticks, days: dayTicks(t0, t1, 1) };
    }
    const days = DAY_STEPS.find((count) => count * DAY_MS >= least);
    if (days) return { ticks: [], days: dayTicks(t0, t1, days) };
    const months = MONTH_STEPS.find((count) => count * 30 * DAY_MS >= least) || 240;
    return { ticks: [], days: monthTicks(t0, t1, months) };
  };

  // An axis above the lanes: hours and less in their own row, under the days they belong to.
  paint.drawAxis = (ctx, { ticks, days }, { t0, t1, width, top, bottom }) => {
    const colour = paint.colours();
    const x = (ms) => ((ms - t0) / (t1 - t0)) * width;
    let free = -Infinity;
    const mark = (ms, from, strong) => {
      const at = Math.round(x(ms)) + 0.5;
      ctx.strokeStyle = colour.line;
      ctx.lineWidth = strong ? 1.5 : 1;
      ctx.beginPath();
      ctx.moveTo(at, from);
      ctx.lineTo(at, bottom);
      ctx.stroke();
      ctx.font = strong ? colour.bold : colour.font;
      ctx.fillStyle = strong ? colour.ink : colour.soft;
      return at;
    };
    for (const [ms, label] of ticks) {
      const at = mark(ms, top - 3, false);
      const half = ctx.measureText(label).width / 2;
      if (at - half < Math.max(0, free + 8) || at + half > width) continue;
      ctx.fillText(label, at - half, top - 7);
      free = at + half;
    }
    const row = ticks.length ? top - 24 : top - 8;
    free = -Infinity;
    for (const [ms, label] of days) {
      ctx.font = colour.bold;
      const right = x(ms) + 4.5 + ctx.measureText(label).width;
      const fits = x(ms) >= free && right <= width;
      const at = mark(ms, fits ? top - 16 : top - 3, true); // beside another day's label none crosses it
      if (!fits) continue;
      ctx.fillText(label, at + 4, row);
      free = right + 6;
    }
    if (ticks.length && (!days.length || x(days[0][0]) > 120)) {
      ctx.font = colour.bold;
      ctx.fillStyle = colour.ink;
      ctx.fillText(earlid.zone.shortDate(t0), 2, row);
    }
  };

  // Stripes between the left and right edges given, all of one height.
  paint.hatch = (ctx, edges, y, height, colour) => {
    ctx.save();
    ctx.beginPath();
    for (const [left, right] of edges) ctx.rect(left, y, right - left, height);
    ctx.clip();
    ctx.strokeStyle = colour;
    ctx.lineWidth = 1.5;
    ctx.globalAlpha = 0.55;
    ctx.beginPath();
    const first = Math.floor((edges[0][0] - height) / 7) * 7;
    const last = edges.reduce((most, [, right]) => Math.max(most, right), 0);
    for (let at = first; at < last; at += 7) {
      ctx.moveTo(at, y + height);
      ctx.lineTo(at + height, y);
    }
    ctx.stroke();
    ctx.restore();
  };

  paint.cross = (ctx, x, y, size) => {
    ctx.beginPath();
    ctx.moveTo(x - size, y - size);
    ctx.lineTo(x + size, y + size);
    ctx.moveTo(x - size, y + size);
    ctx.lineTo(x + size, y - size);
    ctx.stroke();
  };

  earlid.paint = paint;
}
