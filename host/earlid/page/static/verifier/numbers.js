// SPDX-License-Identifier: MIT
// Recomputes what a report shows from sealed records and acts alone: openings, other records, lids, gaps.
{
  const earlidVerifier = (globalThis.earlidVerifier ||= {});
  const NONE = -1; // no label, no upper bound, no end
  const [BOARD, HINT] = [0, 4]; // sources of the clock points in records
  const [CLOCK_SET, CLOCK_VOUCHED] = [4, 8]; // flags
  const NEWS_MS = 1000; // a clock point further off than this from the last is one
  const SPACING_MS = 864e5 / 4; // and one after this time
  const LATCHED = ["welded", "pump-stuck", "mute-poles", "flash-full", "flash-error", "boot-loop"];
  const LOOK_BACK = 48; // records that tell what a lid is
  const HABIT_OPENINGS = 100; // of a board, the newest by the word
  const OPENING_EVENTS = ["open", "close", "live", "dead", "mark"];
  const OPENING_COLUMNS = {
    t: Float64Array, unc: Float64Array, board: Uint16Array, boot: Uint32Array, seq: Uint32Array, live: Float64Array,
    least: Float64Array, most: Float64Array, outside: Uint8Array, reason: Uint8Array, ended: Uint8Array, score: Uint8Array,
    cutoff: Uint32Array, label: Int8Array, flags: Uint8Array,
  };
  const POINT_COLUMNS = {
    t: Float64Array, unc: Float64Array, board: Uint16Array, boot: Uint32Array, seq: Uint32Array, event: Uint8Array,
    reason: Uint8Array, score: Uint8Array, a: Uint32Array, b: Uint32Array, label: Int8Array, flags: Uint8Array,
  };

  // The fields of a board's slots (PROTOCOL.md, "a record in flash"), by place.
  class Records {
    constructor(slots) {
      const size = slots.length / 64;
      const view = new DataView(slots.buffer, slots.byteOffset, slots.byteLength);
      const [seq, boot, a, b] = [0, 0, 0, 0].map(() => new Uint32Array(size));
      const [ms, wall] = [0, 0].map(() => new Float64Array(size));
      const [events, reasons, score, flags] = [0, 0, 0, 0].map(() => new Uint8Array(size));
      const unc = new Uint16Array(size);
      for (let place = 0, at = 0; place < size; place += 1, at += 64) {
        seq[place] = view.getUint32(at, true);
        boot[place] = view.getUint32(at + 4, true);
        ms[place] = view.getUint32(at + 8, true) + 2 ** 32 * view.getUint16(at + 12, true);
        events[place] = slots[at + 14];
        reasons[place] = slots[at + 15];
        score[place] = slots[at + 16];
        flags[place] = slots[at + 17];
        wall[place] = view.getUint32(at + 24, true) + 2 ** 32 * view.getUint16(at + 28, true);
        unc[place] = view.getUint16(at + 30, true);
        a[place] = view.getUint32(at + 32, true);
        b[place] = view.getUint32(at + 36, true);
      }
      Object.assign(this, { size, seq, boot, ms, events, reasons, score, flags, wall, unc, a, b });
    }

    event(place) {
      return earlidVerifier.EVENTS[this.events[place]];
    }

    reason(place) {
      return earlidVerifier.REASONS[this.reasons[place]];
    }

    // Places in the order of starts and numbers, without those that nobody can read.
    order() {
      const places = [];
      for (let place = 0; place < this.size; place += 1) if (this.event(place) !== undefined && this.reason(place) !== undefined) places.push(place);
      const { boot, seq } = this;
      const later = (one, other) => boot[one] - boot[other] || seq[one] - seq[other];
      return places.every((place, n) => !n || later(places[n - 1], place) <= 0) ? places : places.sort(later);
    }
  }

  // Extents of the starts in order, each with the places of its records: [{boot, places, first_ms, ...}].
  const startsOf = (records, order, takenOf) => {
    const starts = [];
    let start = null;
    for (const place of order) {
      const boot = records.boot[place];
      if (start?.boot !== boot) {
        start = { boot, places: [], first_ms: Infinity, last_ms: 0, first_taken_ms: Infinity, last_taken_ms: -Infinity };
        starts.push(start);
      }
      start.places.push(place);
      start.first_ms = Math.min(start.first_ms, records.ms[place]);
      start.last_ms = Math.max(start.last_ms, records.ms[place]);
    }
    for (const each of starts) [each.first_taken_ms, each.last_taken_ms] = takenOf(each);
    return starts;
  };

  // When the records of a start were taken, first and last: by the records' own times, else by the acts that took them.
  const takenBy = (records, taken, account) => ({ boot, places }) => {
    let [first, last] = [Infinity, -Infinity];
    const include = (least, most) => {
      first = Math.min(first, least);
      last = Math.max(last, most);
    };
    if (taken) for (const place of places) include(taken[place], taken[place]);
    else {
      const [low, high] = [records.seq[places[0]], records.seq[places.at(-1)]];
      for (const [from, to, least, most] of account.runs.get(boot) ?? []) if (from <= high && to >= low) include(least, most);
    }
    return [first, last];
  };

  // Boot -> clock points: what records say where their clock is set (a step, a better one, or long after the last), and acts.
  const pointsOf = (records, starts, account) => {
    const found = new Map();
    for (const { boot, places } of starts) {
      const points = new Map();
      const last = new Map();
      for (const place of places) {
        const flags = records.flags[place];
        if (!(flags & CLOCK_SET) || !records.wall[place]) continue;
        const source = flags & CLOCK_VOUCHED ? BOARD : HINT;
        const point = { ms: records.ms[place], wall_ms: records.wall[place], unc_ms: records.unc[place], source };
        const before = last.get(source);
        if (before) {
          const step = Math.abs(point.wall_ms - point.ms - (before.wall_ms - before.ms));
          const better = point.unc_ms < Math.floor(before.unc_ms / 2);
          if (point.ms < before.ms || !(step > NEWS_MS || better || point.ms - before.ms >= SPACING_MS)) continue;
        }
        last.set(source, point);
        points.set(`${point.ms}:${source}`, point);
      }
      if (points.size) found.set(boot, points);
    }
    for (const point of account.points) {
      if (!found.has(point.boot)) found.set(point.boot, new Map());
      found.get(point.boot).set(`${point.ms}:${point.source}`, point);
    }
    return new Map([...found].map(([boot, points]) => [boot, [...points.values()]]));
  };

  // Columns that grow by a row at a time.
  class Rows {
    constructor(kinds) {
      this.names = Object.keys(kinds);
      this.rows = 0;
      this.room = 1024;
      for (const name of this.names) this[name] = new kinds[name](this.room);
    }

    // Place of a new row.
    add() {
      if (this.rows === this.room) {
        this.room *= 2;
        for (const name of this.names) {
          const larger = new this[name].constructor(this.room);
          larger.set(this[name]);
          this[name] = larger;
        }
      }
      this.rows += 1;
      return this.rows - 1;
    }

    columns() {
      return { rows: this.rows, ...Object.fromEntries(this.names.map((name) => [name, this[name].subarray(0, this.rows)])) };
    }
  }

  const lasts = (exposure) => exposure.ended === "open" || exposure.ended === "live";

  // What a lid is by the newest records that count: {lid, since, why}.
  const lidOf = (records, newest, newestBoot, wall) => {
    const say = (lid, boot, ms, why = "") => ({ lid, since: wall(boot, ms)[0], why });
    if (!newest.length) return { lid: "", since: 0, why: "" };
    const exposures = earlidVerifier.exposuresOf(records, newest, newestBoot);
    const live = exposures.find((exposure) => exposure.ended === "live");
    if (live) return say("live", live.boot, live.start, live.reason);
    const last = exposures.at(-1);
    if (last?.ended === "open") return say("open", last.boot, last.start, last.reason);
    if (last && !last.outside && last.boot === newestBoot && last.most === Infinity) return say("maybe live", last.boot, last.start, last.reason);
    const is = (place, ...events) => events.includes(records.event(place));
    const fault = newest.find((place) => is(place, "fault") && records.boot[place] === newestBoot);
    if (fault !== undefined) return say("fault", newestBoot, records.ms[fault], records.reason(fault));
    const end = newest.at(-1);
    const turned = newest.findLast((place) => is(place, "mute", "unmute", "boot")) ?? end;
    if (is(turned, "mute")) return say("muted", records.boot[turned], records.ms[turned]);
    return say("closed", records.boot[end], records.ms[end]);
  };

  // Numbers that are missing and were not purged: [[first, last, boot of the record behind them]].
  const gapsOf = (records, starts, purges, before) => {
    const gaps = [];
    const add = (first, last, boot) => {
      let from = first;
      for (const { seq_from, seq_to } of purges) {
        if (seq_to < from || seq_from > last) continue;
        if (seq_from > from) gaps.push([from, seq_from - 1, boot]);
        from = seq_to + 1;
      }
      if (from <= last) gaps.push([from, last, boot]);
    };
    let expected = (before?.seq ?? 0) + 1;
    for (const { boot, places } of starts) {
      const first = records.seq[places[0]];
      if (first > expected) add(expected, first - 1, boot);
      for (let n = 1; n < places.length; n += 1) {
        const [one, other] = [records.seq[places[n - 1]], records.seq[places[n]]];
        if (other > one + 1) add(one + 1, other - 1, boot);
      }
      expected = records.seq[places.at(-1)] + 1;
    }
    return gaps;
  };

  // Up to which number of a board, whose earlier records are not here, exposures may rest on those.
  const unsureUpTo = (records, exposures, before) => {
    if (!before) return 0;
    let upTo = before.seq;
    for (const outside of [false, true]) {
      for (const exposure of exposures) {
        if (exposure.outside !== outside) continue;
        if (exposure.reason) break; // its beginning is here: from now on nothing hangs on what is not
        upTo = Math.max(upTo, records.seq[exposure.last]);
      }
    }
    return upTo;
  };

  const recomputeBoard = (number, { board, slots, taken, before, head }, account, openings, points) => {
    const records = new Records(slots);
    const order = records.order();
    const starts = startsOf(records, order, takenBy(records, taken, account));
    const clocks = earlidVerifier.clocksOf(starts, pointsOf(records, starts, account));
    const wall = (boot, ms) => clocks.get(boot).wall(ms);
    const labels = new Map();
    for (const [at, [label]] of account.labels) {
      const [boot, seq] = at.split(":").map(Number);
      if (!labels.has(boot)) labels.set(boot, new Map());
      labels.get(boot).set(seq, label ? 1 : 0);
    }
    const labelOf = (place) => labels.get(records.boot[place])?.get(records.seq[place]) ?? NONE;
    const { EVENTS, REASONS, NAMES } = earlidVerifier;
    const codeOf = new Map(NAMES.map((word, code) => [word, code]));
    const [eventCodes, reasonCodes] = [EVENTS, REASONS].map((names) => names.map((word) => codeOf.get(word)));
    const isOpening = EVENTS.map((event) => OPENING_EVENTS.includes(event));
    const isExposure = EVENTS.map((event) => earlidVerifier.EXPOSURE_EVENTS.includes(event));
    const isTelling = EVENTS.map((event, code) => isExposure[code] || event === "mute" || event === "unmute");
    const [codeOfFault, codeOfOpen] = [EVENTS.indexOf("fault"), EVENTS.indexOf("open")];
    const counting = [];
    const telling = []; // of the lid
    const spoken = []; // openings by the word
    for (const { boot, places } of starts) {
      const clock = clocks.get(boot).wall;
      const ordered = places.every((place, n) => !n || records.ms[places[n - 1]] <= records.ms[place]);
      const byTime = ordered ? places : [...places].sort((one, other) => records.ms[one] - records.ms[other] || records.seq[one] - records.seq[other]);
      for (const place of byTime) if (isExposure[records.events[place]]) counting.push(place);
      for (const place of places) {
        const event = records.events[place];
        if (event === codeOfFault ? LATCHED.includes(records.reason(place)) : isTelling[event]) telling.push(place);
        if (event === codeOfOpen && records.reason(place) === "word") spoken.push(place);
        if (isOpening[event]) continue;
        const row = points.add();
        [points.t[row], points.unc[row]] = clock(records.ms[place]);
        points.board[row] = number;
        points.boot[row] = boot;
        points.seq[row] = records.seq[place];
        points.event[row] = eventCodes[event];
        points.reason[row] = reasonCodes[records.reasons[place]];
        points.score[row] = records.score[place];
        points.a[row] = records.a[place];
        points.b[row] = records.b[place];
        points.label[row] = labelOf(place);
        points.flags[row] = records.flags[place];
      }
    }
    const newestBoot = starts.at(-1)?.boot ?? 0;
    const exposures = earlidVerifier.exposuresOf(records, counting, newestBoot);
    const lasting = [];
    const later = (one, other) => records.boot[one.first] - records.boot[other.first] || records.seq[one.first] - records.seq[other.first];
    for (const exposure of [...exposures].sort(later)) {
      const { first, ended, reason, outside, least, most, lead, origin } = exposure;
      const row = openings.add();
      if (exposure.isUnended) lasting.push({ row, least, lead, origin });
      const isOpen = records.event(first) === "open";
      const [t, unc] = wall(records.boot[first], records.ms[first]);
      openings.t[row] = t - records.ms[first] + exposure.start;
      openings.unc[row] = unc;
      openings.board[row] = number;
      openings.boot[row] = records.boot[first];
      openings.seq[row] = records.seq[first];
      openings.least[row] = exposure.covered ? 0 : least;
      openings.most[row] = most === Infinity ? NONE : most;
      openings.live[row] = lasts(exposure) ? NONE : most === Infinity ? openings.least[row] : most;
      openings.outside[row] = outside ? 1 : 0;
      openings.reason[row] = codeOf.get(reason);
      openings.ended[row] = codeOf.get(ended);
      openings.score[row] = isOpen ? records.score[first] : 0;
      openings.cutoff[row] = isOpen ? records.b[first] : 0;
      openings.label[row] = labelOf(first);
      openings.flags[row] = records.flags[first];
    }
    const last = counting.at(-1);
    const newestSeq = order.length ? records.seq[order.at(-1)] : 0;
    const purges = [...account.purges].sort((one, other) => one.boot_from - other.boot_from || one.seq_from - other.seq_from);
    return {
      board, name: account.name, records: order.length, isHeadless: Boolean(before), isTailless: Boolean(head) && head.seq !== newestSeq,
      first: order.length ? records.seq[order[0]] : 0, last: newestSeq,
      unsureUpTo: unsureUpTo(records, exposures, before),
      ...lidOf(records, telling.slice(-LOOK_BACK), newestBoot, wall), lidIsSure: !before || telling.length >= LOOK_BACK,
      gaps: gapsOf(records, starts, purges, before),
      lasting, heard: last === undefined ? null : { ms: records.ms[last], wall: wall(records.boot[last], records.ms[last]) },
      habits: spoken.slice(-HABIT_OPENINGS).map((place) => wall(records.boot[place], records.ms[place])[0]),
      starts: new Map(starts.map(({ boot, first_ms, last_ms }) => [boot, { length: last_ms - first_ms, span: clocks.get(boot).span }])),
    };
  };

  // {openings, points: columns named as the report's, by board, start and number; boards: [{board, lid, since, why, gaps, ...}]}.
  // untold: kinds of acts of which bodies are left out of a part of a ledger. `event`, `reason`, `ended` are places in `earlidVerifier.NAMES`, `board` in the evidence's boards.
  earlidVerifier.recompute = (evidence, isValid = evidence.isValid) => {
    earlidVerifier.NAMES ??= [...new Set([...earlidVerifier.EVENTS, ...earlidVerifier.REASONS, "restart", "unknown"])];
    const accounts = earlidVerifier.account(evidence.acts, isValid);
    const isOld = !evidence.acts.length; // an export of format 1: what its header says was imported, as it were
    const accountOf = ({ board, name, tables }) => {
      const body = JSON.stringify(isOld ? { board, name, tables } : { board });
      return accounts.get(board) ?? earlidVerifier.account([["", 0, 0, "import", body]]).get(board);
    };
    const [openings, points] = [new Rows(OPENING_COLUMNS), new Rows(POINT_COLUMNS)];
    const boards = evidence.boards.map((board, number) => recomputeBoard(number, board, accountOf(board), openings, points));
    const bodiless = new Set(evidence.acts.filter(([, , , , body]) => body === null).map(([, , , kind]) => (kind === "adopt" ? "import" : kind)));
    const untold = evidence.partial ? [...bodiless] : [];
    return { openings: openings.columns(), points: points.columns(), boards, untold, isRefused: Boolean(evidence.refused) };
  };
}
