// SPDX-License-Identifier: MIT
// What happened: the tables, and what is summed up over them. Draws nothing, asks nobody.
{
  const HOUR_MS = 36e5;
  const DAY_MS = 864e5;
  const story = { loaded: false, version: 0, records: 0 }; // how often anything, and how often more than labels changed
  let code = {};
  let daily = null;
  let mutes = null;
  let longest_ms = 0;

  story.load = ({ header, tables }) => {
    Object.assign(story, { header, openings: tables.openings, points: tables.points, boards: header.boards, loaded: true });
    code = Object.fromEntries(header.names.map((name, number) => [name, number]));
    story.code = code;
    story.live = header.live;
    earlid.zone.set(header.zone.offsets);
    changed();
  };

  const changed = (records = true) => {
    story.version += 1;
    daily = null;
    if (!records) return;
    story.records += 1;
    mutes = null;
    longest_ms = 0;
    const { live, rows } = story.openings;
    for (let i = 0; i < rows; i += 1) if (live[i] > longest_ms) longest_ms = live[i];
  };

  // A change that the server told of; false when everything must be fetched anew.
  story.apply = (change) => {
    if (change.reload) return false;
    if (change.boards) story.boards = change.boards;
    for (const row of change.openings || []) story.openings.put(row);
    for (const row of change.points || []) story.points.put(row);
    for (const [board, boot, seq, label] of change.labels || []) {
      const number = story.boards.findIndex((item) => item.board === board);
      for (const table of [story.openings, story.points]) {
        const at = table.find(number, boot, seq);
        if (at >= 0) table.label[at] = label;
      }
    }
    changed(Boolean(change.openings || change.points || change.boards));
    return true;
  };

  story.now = () => (story.live ? Date.now() : story.header.made);
  story.name = (number) => story.header.names[number];
  story.title = (board) => story.boards[board].name || story.boards[board].board;

  // The end of an opening: of one still under way, now, or when its board was last seen.
  story.end = (i) => {
    const { t, live, ended, board } = story.openings;
    if (live[i] >= 0) return t[i] + live[i];
    if (ended[i] !== code.open) return t[i];
    const now = story.now();
    return Math.max(t[i], story.live && now - t[i] < HOUR_MS ? now : Math.min(story.boards[board[i]].seen, now));
  };
  story.isOpen = (i) => story.openings.live[i] < 0 && story.openings.ended[i] === code.open;
  story.anyOpen = () => {
    for (let i = story.openings.rows - 1; i >= Math.max(0, story.openings.rows - 50); i -= 1) if (story.isOpen(i)) return true;
    return false;
  };

  // [first, end) of the openings that may reach into a range: those found outside must be left out by their end.
  story.openingsIn = (t0, t1) => [story.openings.lower(t0 - Math.max(longest_ms, HOUR_MS)), story.openings.lower(t1)];
  story.pointsIn = (t0, t1) => [story.points.lower(t0), story.points.lower(t1)];

  story.bounds = () => {
    const { openings, points } = story;
    const starts = [openings, points].filter((table) => table.rows).map((table) => table.t[0]);
    const ends = [openings, points].filter((table) => table.rows).map((table) => table.t[table.rows - 1]);
    const low = starts.length ? Math.min(...starts) : story.now() - 864e5;
    const high = ends.length ? Math.max(...ends) : story.now();
    return [low, story.live && story.header.to === null ? Math.max(high, story.now()) : high];
  };

  story.tally = (t0, t1, only) => {
    const { openings, points } = story;
    const sum = { live_ms: 0, openings: 0, word: 0, button: 0, notMeant: 0, near: 0, faults: 0, boots: 0, mutes: 0 };
    let [first, end] = story.openingsIn(t0, t1);
    for (let i = first; i < end; i += 1) {
      if (only >= 0 && openings.board[i] !== only) continue;
      const end_ms = Math.min(story.end(i), t1);
      const start_ms = Math.max(openings.t[i], t0);
      if (end_ms > start_ms) sum.live_ms += end_ms - start_ms;
      if (openings.t[i] < t0) continue;
      sum.openings += 1;
      if (openings.reason[i] === code.word) sum.word += 1;
      else if (openings.reason[i] === code.button) sum.button += 1;
      if (openings.label[i] === 0) sum.notMeant += 1;
    }
    [first, end] = story.pointsIn(t0, t1);
    for (let i = first; i < end; i += 1) {
      if (only >= 0 && points.board[i] !== only) continue;
      const event = points.event[i];
      if (event === code["near-miss"]) sum.near += 1;
      else if (event === code.fault) sum.faults += 1;
      else if (event === code.boot) sum.boots += 1;
      else if (event === code.mute) sum.mutes += 1;
    }
    return sum;
  };

  // Per local day from the first to the last: ms live, openings, near misses; and ms live in each of its 24 hours.
  story.daily = (only) => {
    if (daily && daily.only === only) return daily;
    const { zone } = earlid;
    const [low, high] = story.bounds();
    const first = zone.dayNumber(low);
    const size = earlid.clamp(zone.dayNumber(high) - first + 1, 1, 40000);
    daily = {
      only, first, size,
      live_ms: new Float64Array(size), hours: new Float64Array(size * 24),
      openings: new Uint32Array(size), near: new Uint32Array(size), notMeant: new Uint32Array(size),
    };
    const { openings } = story;
    for (let i = 0; i < openings.rows; i += 1) {
      if (only >= 0 && openings.board[i] !== only) continue;
      const t = openings.t[i];
      const end = openings.live[i] >= 0 ? t + openings.live[i] : story.end(i);
      let local = t + zone.offset(t);
      const home = Math.floor(local / DAY_MS) - first;
      daily.openings[home] += 1;
      if (openings.label[i] === 0) daily.notMeant[home] += 1;
      for (let at = t; at < end; local = at + zone.offset(at)) {
        const next = Math.min(end, at + HOUR_MS - (local % HOUR_MS));
        const hour = Math.floor(local / HOUR_MS) - first * 24;
        daily.hours[hour] += next - at;
        daily.live_ms[Math.floor(hour / 24)] += next - at;
        at = next;
      }
    }
    const near = earlid.extracts.near(only).t;
    for (let day = 0; day < size; day += 1) {
      const [from, to] = [day, day + 1].map((number) => earlid.lower(near, near.length, zone.dayStart(first + number)));
      daily.near[day] = to - from;
    }
    return daily;
  };

  // [board, from, to] of the times in which a mute switch was latched.
  story.mutes = () => {
    if (mutes) return mutes;
    mutes = [];
    const since = new Map();
    const { points } = story;
    for (let i = 0; i < points.rows; i += 1) {
      if (points.event[i] === code.mute) since.set(points.board[i], since.get(points.board[i]) ?? points.t[i]);
      if (points.event[i] === code.unmute && since.has(points.board[i])) {
        mutes.push([points.board[i], since.get(points.board[i]), points.t[i]]);
        since.delete(points.board[i]);
      }
    }
    for (const [board, from] of since) mutes.push([board, from, story.live ? Infinity : story.boards[board].seen]);
    return mutes;
  };

  // What a board's last records say its lid is: [word, since].
  story.state = (board) => {
    const { openings, points } = story;
    let opened = openings.rows - 1;
    while (opened >= 0 && openings.board[opened] !== board) opened -= 1;
    if (opened >= 0 && story.isOpen(opened)) return ["open", openings.t[opened]];
    let told = points.rows - 1;
    const kinds = [code.mute, code.unmute, code.boot];
    while (told >= 0 && !(points.board[told] === board && kinds.includes(points.event[told]))) told -= 1;
    const closed_ms = opened >= 0 ? story.end(opened) : -Infinity;
    if (told >= 0 && points.event[told] === code.mute && points.t[told] >= closed_ms - 1000) return ["muted", points.t[told]];
    const since = Math.max(closed_ms, told >= 0 ? points.t[told] : -Infinity);
    return since > -Infinity ? ["closed", since] : ["unknown", 0];
  };

  earlid.story = story;
}
