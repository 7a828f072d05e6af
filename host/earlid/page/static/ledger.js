// SPDX-License-Identifier: MIT
// The ledger's tables as the page has them, and sums over them. Draws nothing, requests nothing.
{
  const HOUR_MS = 36e5;
  const DAY_MS = 864e5;
  const ledger = { loaded: false, version: 0, recordsVersion: 0 }; // how often anything, and how often more than labels changed
  let code = {};
  let daily = null;
  let mutes = null;
  let longest_ms = 0;

  ledger.load = ({ header, tables }) => {
    Object.assign(ledger, { header, openings: tables.openings, points: tables.points, boards: header.boards, loaded: true });
    code = Object.fromEntries(header.names.map((name, number) => [name, number]));
    ledger.code = code;
    ledger.live = header.live;
    earlid.zone.set(header.zone.offsets);
    invalidate();
  };

  const invalidate = (records = true) => {
    ledger.version += 1;
    daily = null;
    if (!records) return;
    ledger.recordsVersion += 1;
    mutes = null;
    longest_ms = 0;
    const { t, live, rows } = ledger.openings;
    for (let i = 0; i < rows; i += 1) longest_ms = Math.max(longest_ms, live[i] >= 0 ? live[i] : ledger.endOf(i) - t[i]);
  };

  // A change that the server sent; false when everything must be fetched anew.
  ledger.apply = (change) => {
    if (change.reload) return false;
    if (change.boards) ledger.boards = change.boards;
    for (const row of change.openings || []) ledger.openings.upsert(row);
    for (const row of change.points || []) ledger.points.upsert(row);
    for (const [board, boot, seq, label] of change.labels || []) {
      const number = ledger.boards.findIndex((item) => item.board === board);
      for (const table of [ledger.openings, ledger.points]) {
        const at = table.find(number, boot, seq);
        if (at >= 0) table.label[at] = label;
      }
    }
    const records = Boolean(change.openings || change.points || (change.boards && ledger.anyOpen()));
    if (records || change.labels) invalidate(records);
    return true;
  };

  ledger.now = () => (ledger.live ? Date.now() : ledger.header.made);
  ledger.nameOf = (number) => ledger.header.names[number];
  // Why of a row of the points, for people.
  ledger.whyOf = (i) => {
    const { event, reason, a } = ledger.points;
    return event[i] === code.limited ? `${earlid.countText(a[i], "record")} of a host held back` : ledger.nameOf(reason[i]);
  };
  ledger.titleOf = (board) => ledger.boards[board].name || ledger.boards[board].board;

  // The end of an opening, as late as it may have been: of one still under way, now, or when its board was last seen.
  ledger.endOf = (i) => {
    const { t, live, board } = ledger.openings;
    if (live[i] >= 0) return t[i] + live[i];
    const now = ledger.now();
    return Math.max(t[i], ledger.live && now - t[i] < HOUR_MS ? now : Math.min(ledger.boards[board[i]].seen, now));
  };
  ledger.isOpen = (i) => ledger.openings.live[i] < 0;
  ledger.isOutside = (i) => ledger.openings.outside[i] === 1;
  // Of a time that is not certain, an opening counts as a maybe wherever it may lie (report.py has the same).
  const DOUBTFUL_MS = 6e4;
  const isDoubtful = (i, table = ledger.openings) => table.unc[i] >= DOUBTFUL_MS;
  ledger.isDoubtful = isDoubtful;
  ledger.mayLieIn = (i, t0, t1, table = ledger.openings) => {
    const end = table === ledger.openings ? ledger.endOf(i) : table.t[i];
    return table.t[i] - table.unc[i] < t1 && end + table.unc[i] >= t0;
  };
  // Bounds of what of an opening lies in a range: [least, most], most Infinity where nothing bounds it.
  ledger.boundsOf = (i, t0, t1) => {
    const { t, least, most, unc } = ledger.openings;
    if (isDoubtful(i) && !(t[i] - unc[i] >= t0 && t[i] + unc[i] + least[i] <= t1)) return [0, most[i] < 0 ? Infinity : Math.min(most[i], t1 - t0)];
    const clip = (ms) => Math.max(0, Math.min(t[i] + ms, t1) - Math.max(t[i], t0));
    return [clip(least[i]), most[i] < 0 ? Infinity : clip(ledger.isOpen(i) ? ledger.endOf(i) - t[i] : most[i])];
  };
  ledger.anyOpen = () => {
    for (let i = ledger.openings.rows - 1; i >= Math.max(0, ledger.openings.rows - 50); i -= 1) if (ledger.isOpen(i)) return true;
    return false;
  };

  // [first, end) of the openings that may reach into a range: those found outside must be left out by their end.
  ledger.openingsBetween = (t0, t1) => [ledger.openings.lowerBound(t0 - Math.max(longest_ms, HOUR_MS)), ledger.openings.lowerBound(t1)];
  ledger.pointsBetween = (t0, t1) => [ledger.points.lowerBound(t0), ledger.points.lowerBound(t1)];

  ledger.bounds = () => {
    const { openings, points } = ledger;
    const starts = [openings, points].filter((table) => table.rows).map((table) => table.t[0]);
    const ends = [openings, points].filter((table) => table.rows).map((table) => table.t[table.rows - 1]);
    const low = starts.length ? Math.min(...starts) : ledger.now() - 864e5;
    const high = ends.length ? Math.max(...ends) : ledger.now();
    return [low, ledger.live && ledger.header.to === null ? Math.max(high, ledger.now()) : high];
  };

  ledger.totals = (t0, t1, only) => {
    const { openings, points } = ledger;
    const sum = { least_ms: 0, most_ms: 0, outside: 0, openings: 0, word: 0, button: 0, notMeant: 0, near: 0, faults: 0, boots: 0, mutes: 0 };
    const addLive = (i) => {
      const [least_ms, most_ms] = ledger.boundsOf(i, t0, t1);
      sum.least_ms += least_ms;
      sum.most_ms += most_ms;
      if (ledger.isOutside(i)) sum.outside += 1;
    };
    for (const i of earlid.derived.doubtful("openings")) {
      if ((only < 0 || openings.board[i] === only) && ledger.mayLieIn(i, t0, t1)) addLive(i);
    }
    let [first, end] = ledger.openingsBetween(t0, t1);
    for (let i = first; i < end; i += 1) {
      if (only >= 0 && openings.board[i] !== only) continue;
      if (ledger.endOf(i) >= t0 && !isDoubtful(i)) addLive(i);
      if (openings.t[i] < t0 || ledger.isOutside(i)) continue;
      sum.openings += 1;
      if (openings.reason[i] === code.word) sum.word += 1;
      else if (openings.reason[i] === code.button) sum.button += 1;
      if (openings.label[i] === 0) sum.notMeant += 1;
    }
    [first, end] = ledger.pointsBetween(t0, t1);
    for (let i = first; i < end; i += 1) {
      if (only >= 0 && points.board[i] !== only) continue;
      const event = points.event[i];
      if (event === code["near-miss"]) sum.near += 1;
      else if (event === code.fault) sum.faults += 1;
      else if (event === code.boot) sum.boots += 1;
      else if (event === code.mute) sum.mutes += 1;
    }
    if (sum.most_ms === Infinity) sum.most_ms = -1; // as in the tables
    return sum;
  };

  // Per local day from the first to the last: ms live, openings, near misses; and ms live in each of its 24 hours.
  ledger.daily = (only) => {
    if (daily && daily.only === only) return daily;
    const { zone } = earlid;
    const [low, high] = ledger.bounds();
    const first = zone.dayNumber(low);
    const size = earlid.clamp(zone.dayNumber(high) - first + 1, 1, 40000);
    daily = {
      only, first, size,
      live_ms: new Float64Array(size), least_ms: new Float64Array(size), unbounded: new Uint8Array(size), hours: new Float64Array(size * 24),
      openings: new Uint32Array(size), near: new Uint32Array(size), notMeant: new Uint32Array(size),
    };
    const { openings } = ledger;
    for (let i = 0; i < openings.rows; i += 1) {
      if (only >= 0 && openings.board[i] !== only) continue;
      const t = openings.t[i];
      const end = openings.live[i] >= 0 ? t + openings.live[i] : ledger.endOf(i);
      let local = t + zone.offset(t);
      const startDay = Math.floor(local / DAY_MS) - first;
      if (!ledger.isOutside(i)) daily.openings[startDay] += 1;
      if (openings.label[i] === 0) daily.notMeant[startDay] += 1;
      for (let at = t; at < end; local = at + zone.offset(at)) {
        const next = Math.min(end, at + HOUR_MS - (local % HOUR_MS));
        const hour = Math.floor(local / HOUR_MS) - first * 24;
        daily.hours[hour] += next - at;
        const day = Math.floor(hour / 24);
        daily.live_ms[day] += next - at;
        daily.least_ms[day] += Math.max(0, Math.min(next, t + openings.least[i]) - at);
        if (openings.most[i] < 0) daily.unbounded[day] = 1;
        at = next;
      }
    }
    const near = earlid.derived.near(only).t;
    for (let day = 0; day < size; day += 1) {
      const [from, to] = [day, day + 1].map((number) => earlid.lowerBound(near, near.length, zone.dayStart(first + number)));
      daily.near[day] = to - from;
    }
    return daily;
  };

  // [board, from, to] of the times in which a mute switch was latched.
  ledger.mutes = () => {
    if (mutes) return mutes;
    mutes = [];
    const since = new Map();
    const { points } = ledger;
    for (let i = 0; i < points.rows; i += 1) {
      if (points.event[i] === code.mute) since.set(points.board[i], since.get(points.board[i]) ?? points.t[i]);
      if (points.event[i] === code.unmute && since.has(points.board[i])) {
        mutes.push([points.board[i], since.get(points.board[i]), points.t[i]]);
        since.delete(points.board[i]);
      }
    }
    for (const [board, from] of since) mutes.push([board, from, ledger.live ? Infinity : ledger.boards[board].seen]);
    return mutes;
  };

  // What a board's lid is, as lid_state.py tells it: {state, alarm, text}, state "unknown" while nobody hears of the board.
  const LIDS = { live: "LIVE with its lid closed", "maybe live": "maybe live", open: "open: live", muted: "muted by its switch", closed: "closed" };
  ledger.heard = (number) => ledger.now() - ledger.boards[number].seen <= ledger.header.heard;
  ledger.lidOf = (number) => {
    const { zone } = earlid;
    const { lid, since, why, seen } = ledger.boards[number];
    const when = (ms) => `${zone.dayNumber(ms) === zone.dayNumber(ledger.now()) ? "" : `${zone.dateText(ms)}, `}${zone.timeText(ms)}`;
    const word = lid === "fault" ? `FAULT (${why})` : LIDS[lid];
    const grave = ["live", "maybe live", "fault"].includes(lid);
    if (ledger.heard(number)) return { state: lid || "unknown", alarm: grave, text: word ? `${word} since ${when(since)}` : "no record of its lid" };
    const last = lid === "open" ? "open then: maybe live" : `${word ?? "no record of it"} then`;
    return { state: "unknown", alarm: grave || lid === "open", text: `unknown since ${when(seen)}, ${last}` };
  };

  earlid.ledger = ledger;
}
