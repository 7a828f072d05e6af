// SPDX-License-Identifier: MIT
// Wall times of a board's starts from what clocks said: "Whose word on the time is believed" of the ledger's README.
{
  const earlidVerifier = (globalThis.earlidVerifier ||= {});
  const EARLIEST_MS = 1_577_836_800_000; // 2020
  const LATEST_MS = 7_258_118_400_000; // 2200
  const UNBOUNDED_MS = 10 * 366 * 864e5; // "or before"
  const SLACK_MS = 1000;
  const DRIFT_PARTS = 20_000; // a crystal is off by at most one part in so many: 50 ppm
  const BOARD = 0;
  const HOST = 1;
  const SYNCED = 2;
  const IMPORTED = 3;
  const HINT = 4;
  const BY_RANK = [SYNCED, HOST, IMPORTED, BOARD, HINT];

  const isTime = (ms) => ms >= EARLIEST_MS && ms < LATEST_MS;
  const drift = (ms) => Math.ceil(Math.abs(ms) / DRIFT_PARTS);
  const half = (low, high) => Math.floor((low + high) / 2);
  // floor(a * b / c), exact also where the product has more than 53 bits.
  const scaled = (a, b, c) => {
    const product = a * b;
    if (Number.isSafeInteger(product)) return Math.floor(product / c);
    const [exact, by] = [BigInt(a) * BigInt(b), BigInt(c)];
    const quotient = exact / by;
    return Number(quotient * by > exact ? quotient - 1n : quotient);
  };

  const isUsable = ({ ms, wall_ms, unc_ms, source }) => isTime(wall_ms) && ms >= 0 && unc_ms >= 0 && BY_RANK.includes(source);

  // Of points of one source and start those that can be true beside the newest, oldest first.
  const consistent = (points) => {
    const newestFirst = [...points].sort((one, other) => other.ms - one.ms || other.wall_ms - one.wall_ms);
    const kept = [];
    for (const point of newestFirst) {
      const later = kept.at(-1);
      if (later) {
        const off = Math.abs(point.wall_ms - point.ms - (later.wall_ms - later.ms));
        const allowed = point.unc_ms + later.unc_ms + 20 + Math.floor((later.ms - point.ms) / (DRIFT_PARTS / 2));
        if (point.wall_ms >= later.wall_ms || off > allowed) continue;
      }
      kept.push(point);
    }
    return kept.reverse();
  };

  // Source -> [not before (of millisecond 0), not after (of the last record)].
  const claimsOf = (points, last_ms) => {
    const bySource = new Map();
    for (const point of points) {
      if (!bySource.has(point.source)) bySource.set(point.source, []);
      bySource.get(point.source).push(point);
    }
    const sums = new Map();
    let disputed = false;
    for (const [source, mine] of bySource) {
      const sum = { least: Infinity, most: -Infinity, unc: 0, sure: Infinity, first: Infinity, final: 0 };
      for (const { ms, wall_ms, unc_ms } of mine) {
        sum.least = Math.min(sum.least, wall_ms - ms);
        sum.most = Math.max(sum.most, wall_ms - ms);
        sum.unc = Math.max(sum.unc, unc_ms);
        sum.sure = Math.min(sum.sure, unc_ms);
        sum.first = Math.min(sum.first, ms);
        sum.final = Math.max(sum.final, ms);
      }
      sums.set(source, sum);
      if (sum.most - sum.least > 2 * sum.sure + 2 * drift(sum.final - sum.first) + 20) disputed = true;
    }
    const claims = new Map();
    for (const [source, { least, most, unc, first, final }] of sums) {
      if (disputed) {
        const kept = consistent(bySource.get(source));
        const lowest = Math.min(...kept.map((point) => point.wall_ms - point.ms - point.unc_ms));
        const highest = Math.max(...kept.map((point) => point.wall_ms - point.ms + point.unc_ms));
        claims.set(source, [lowest - drift(kept[0].ms), highest + last_ms + drift(last_ms - kept.at(-1).ms)]);
      } else claims.set(source, [least - unc - drift(first), most + unc + last_ms + drift(last_ms - final)]);
    }
    return claims;
  };

  // A start on the axis: times of millisecond 0 less what the starts before it lasted, so that no later start lies left of it.
  class Start {
    constructor(extent, points, before) {
      const { boot, first_taken_ms, last_taken_ms } = extent;
      const longest = (isTime(last_taken_ms) ? last_taken_ms : LATEST_MS) - EARLIEST_MS;
      this.isSound = extent.last_ms <= longest; // else nothing follows from it
      this.boot = boot;
      this.last_ms = this.isSound ? extent.last_ms : 0;
      const first_ms = this.isSound ? Math.min(Math.max(0, extent.first_ms), this.last_ms) : 0;
      this.last_taken_ms = last_taken_ms;
      this.points = points.filter(isUsable);
      this.claims = claimsOf(this.points, this.last_ms);
      this.before = before;
      this.lasted = this.last_ms - drift(this.last_ms);
      this.taken = Infinity; // on the axis: when its records were taken, by this computer's clock
      if (isTime(first_taken_ms)) this.taken = first_taken_ms - first_ms + drift(first_ms) - before;
      if (isTime(last_taken_ms)) this.taken = Math.min(this.taken, last_taken_ms - this.lasted - before);
      this.settled = false;
      this.source = null;
      this.guess = null;
      this.low = -Infinity;
      this.high = Infinity;
      this.notAfter = Infinity; // taken then, and nothing better contradicts it
      this.wideLow = null;
    }

    set(source, low, high, guess = null) {
      Object.assign(this, { settled: true, source, low, high, guess });
    }
  }

  // Where each start can lie by those settled before and after it.
  const neighbours = (starts) => {
    const lows = [];
    const highs = new Array(starts.length);
    let low = -Infinity;
    for (const start of starts) {
      lows.push(start.wideLow ?? low);
      if (start.settled) low = Math.max(low, start.low);
    }
    let high = Infinity;
    for (let i = starts.length - 1; i >= 0; i -= 1) {
      if (!starts[i].settled) high = Math.min(high, starts[i].notAfter);
      highs[i] = high;
      if (starts[i].settled) high = Math.min(high, starts[i].high);
    }
    return { lows, highs };
  };

  // What a source says of a start, as far as it can be true: {i, low, high, cut}; null where it is passed over.
  const candidate = (start, i, source, { lows, highs }) => {
    const [begin, end] = start.claims.get(source);
    const low = begin - start.before;
    const high = Math.max(low, end - start.lasted - start.before);
    if (high < lows[i] - SLACK_MS || low > highs[i] + SLACK_MS) return null;
    if (source === HOST && low > start.taken + SLACK_MS) { // this computer's clock against itself
      start.set(null, lows[i], high, start.taken - drift(start.last_ms));
      return null;
    }
    const latest = source === HOST ? Math.min(highs[i], start.taken) : highs[i];
    const middle = half(low, high);
    if (middle > latest + 2 * drift(start.last_ms) + SLACK_MS) return { i, low, high: Math.max(low, latest), cut: true };
    if (middle < lows[i] - SLACK_MS) return { i, low: Math.min(high, lows[i]), high, cut: true };
    return { i, low, high, cut: false };
  };

  // Candidates that cannot be true together with some other.
  const disputedOf = (candidates) => {
    const least = new Array(candidates.length + 1).fill(Infinity);
    for (let n = candidates.length - 1; n >= 0; n -= 1) least[n] = Math.min(least[n + 1], candidates[n].high);
    let reach = -Infinity;
    return candidates.filter(({ low, high }, n) => {
      const bad = low > least[n + 1] + SLACK_MS || high < reach - SLACK_MS;
      reach = Math.max(reach, low);
      return bad;
    });
  };

  // The longest row of middles that never goes back; of two the newer.
  const longestRow = (disputed) => {
    const tops = [];
    const piles = [];
    const below = new Map();
    for (const item of disputed) {
      const middle = half(item.low, item.high);
      let at = 0;
      for (let size = tops.length; at < size; ) {
        const probe = (at + size) >> 1;
        if (tops[probe] > middle) size = probe;
        else at = probe + 1;
      }
      below.set(item, at ? piles[at - 1] : null);
      tops[at] = middle;
      piles[at] = item;
    }
    const row = new Set();
    for (let item = piles.at(-1); item; item = below.get(item)) row.add(item);
    return row;
  };

  const settleSource = (starts, source) => {
    const around = neighbours(starts);
    const candidates = [];
    starts.forEach((start, i) => {
      const found = start.settled || !start.claims.has(source) ? null : candidate(start, i, source, around);
      if (found) candidates.push(found);
    });
    const disputed = disputedOf(candidates);
    const row = longestRow(disputed);
    const rejected = disputed.filter((item) => !row.has(item));
    const lost = new Set(rejected);
    for (const item of candidates) if (!lost.has(item)) starts[item.i].set(item.cut ? null : source, item.low, item.high);
    if (rejected.length) doubtBoth(starts, rejected, [...row].sort((one, other) => one.i - other.i));
  };

  // One start against one: both in doubt, and between bounds that hold both. Two or more against one: it is passed over.
  const doubtBoth = (starts, rejected, kept) => {
    const { lows, highs } = neighbours(starts);
    for (const item of rejected) {
      let place = 0;
      while (place < kept.length && kept[place].i < item.i) place += 1;
      const later = kept.slice(place, place + 2).filter((other) => other.high < item.low - SLACK_MS);
      const earlier = kept.slice(Math.max(0, place - 2), place).filter((other) => other.low > item.high + SLACK_MS);
      if (later.length + earlier.length !== 1) continue;
      const rival = later[0] ?? earlier[0];
      const middle = half(rival.low, rival.high);
      const [mine, theirs] = [starts[item.i], starts[rival.i]];
      if (later.length) {
        mine.set(null, Math.min(item.low, lows[item.i]), item.high, rival.high);
        theirs.set(null, rival.low, Math.max(rival.high, highs[rival.i]), middle);
      } else {
        mine.set(null, item.low, Math.max(item.high, highs[item.i]), rival.low);
        theirs.set(null, Math.min(rival.low, lows[rival.i]), rival.high, middle);
      }
    }
  };

  // A start that this computer did not see lies before its records were taken, unless better words contradict that.
  const boundByTaking = (starts) => {
    let [synced, first, second] = [-Infinity, -Infinity, -Infinity]; // how far right those settled reach; of all the two furthest
    for (const start of starts) {
      if (start.settled) {
        if (start.source === SYNCED) synced = Math.max(synced, start.low);
        if (start.low > first) [first, second] = [start.low, first];
        else second = Math.max(second, start.low);
      } else if (start.taken >= first - SLACK_MS) start.notAfter = start.taken;
      else if (start.taken >= synced - SLACK_MS && start.taken >= second - SLACK_MS) start.wideLow = synced;
    }
  };

  // Clock of a start by the points of the source that is believed.
  const clockOfPoints = (points, no_time) => {
    const kept = consistent(points);
    return (ms) => {
      let at = 0;
      for (let size = kept.length; at < size; ) {
        const probe = (at + size) >> 1;
        if (kept[probe].ms > ms) size = probe;
        else at = probe + 1;
      }
      const [low, high] = [kept[Math.max(0, at - 1)], kept[Math.min(at, kept.length - 1)]];
      const ahead = ms - low.ms;
      const span = high.ms - low.ms;
      const unc = Math.max(low.unc_ms, high.unc_ms) + Math.floor(Math.min(Math.abs(ahead), Math.abs(high.ms - ms)) / DRIFT_PARTS);
      const wall = low.wall_ms + ahead + (span > 0 ? scaled(high.wall_ms - low.wall_ms - span, ahead, span) : 0);
      return isTime(wall) ? [wall, unc] : no_time;
    };
  };

  // Clock of a start of which only bounds are known.
  const clockOfBounds = (begin, end, last_ms, guess, no_time) => {
    const bounded = guess !== null || begin > EARLIEST_MS;
    const zero = guess === null ? half(begin, end - last_ms) : Math.min(Math.max(guess, begin), end - last_ms);
    return (ms) => {
      const left = last_ms - ms;
      const latest = end - left + drift(left);
      const wall = bounded ? zero + ms : latest;
      if (!isTime(wall)) return no_time;
      if (!bounded) return [wall, UNBOUNDED_MS];
      const unc = Math.max(0, wall - (begin + ms - drift(ms)), latest - wall);
      return [wall, unc === UNBOUNDED_MS ? unc + 1 : unc];
    };
  };

  const clockOf = (start, begin, end) => {
    const no_time = [isTime(start.last_taken_ms) ? start.last_taken_ms : LATEST_MS - 1, UNBOUNDED_MS];
    const believed = start.points.filter((point) => point.source === start.source);
    if (believed.length) return clockOfPoints(believed, no_time);
    let { guess } = start;
    if (guess === null && start.high === Infinity && start.low > -Infinity) guess = start.low; // soon after the one before
    return clockOfBounds(begin, end, start.last_ms, guess === null ? null : guess + start.before, no_time);
  };

  // Boot -> {wall: function of ms to [Unix ms, by how many ms it may be off], span: [not before, not after] of the whole start}.
  // extents: of all starts of a board in order, {boot, first_ms, last_ms, first_taken_ms, last_taken_ms};
  // pointsOf: boot -> [{ms, wall_ms, unc_ms, source}], one of a source and ms.
  earlidVerifier.clocksOf = (extents, pointsOf) => {
    let before = 0;
    const starts = extents.map((extent) => {
      const start = new Start(extent, pointsOf.get(extent.boot) ?? [], before);
      before += start.lasted;
      return start;
    });
    for (const source of BY_RANK) {
      settleSource(starts, source);
      if (source === HOST) boundByTaking(starts);
    }
    const { lows, highs } = neighbours(starts);
    starts.forEach((start, i) => {
      if (!start.settled) Object.assign(start, { low: lows[i], high: highs[i] });
    });
    return new Map(starts.map((start) => {
      const begin = Math.min(Math.max(EARLIEST_MS, start.low + start.before), LATEST_MS);
      const end = Math.max(begin, Math.min(LATEST_MS, start.high + start.lasted + start.before));
      return [start.boot, { wall: clockOf(start, begin, end), span: start.isSound ? [begin, end] : [-Infinity, Infinity] }];
    }));
  };
  earlidVerifier.UNBOUNDED_MS = UNBOUNDED_MS;

  // Whether a time as [Unix ms, ms that it may be off] may lie in a range; null for no limit.
  earlidVerifier.mayLieIn = (wall, unc, from, to) => {
    const earliest = unc === UNBOUNDED_MS ? EARLIEST_MS : wall - unc;
    const latest = unc === UNBOUNDED_MS ? wall : wall + unc;
    return (from === null || latest >= from) && (to === null || earliest < to);
  };
}
