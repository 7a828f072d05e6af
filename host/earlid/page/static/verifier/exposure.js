// SPDX-License-Identifier: MIT
// How long a board's guarded microphone had power, between two bounds, from its records: the docstring of exposure.py has the rules.
{
  const earlidVerifier = (globalThis.earlidVerifier ||= {});
  const DROP_MS = 250; // the longest that a rail takes to go
  const LONGEST_MS = 60_000 + DROP_MS + 100;
  const SLACK_MS = 20;
  const NO_RAIL_MS = 310; // the longest that an open lid stays so without a rail
  const NOT_GONE = 0xffff;
  const NOT_KNOWN = 0xffffffff;
  const SAME_MS = 1000;
  const LATE_MS = 10_000;

  // Upper bounds: Infinity where there is none.
  const told = (ms) => (ms === NOT_KNOWN ? Infinity : ms);

  // One time in which the rail was live. `lead`: how long it may have been live before `origin`.
  class Exposure {
    constructor(first, boot, origin, { reason = "", lead = 0, outside = false, covered = false }) {
      Object.assign(this, { first, last: first, boot, origin, reason, lead, outside, covered, least: 0, most: Infinity, ended: "", isUnended: false });
    }

    end(last, ended, least, most) {
      this.last = last;
      this.ended = ended;
      this.least = Math.max(this.least, least);
      this.most = Math.max(this.least, most);
    }

    // Its end is not kept: it was over by `until` of its own start, Infinity where nothing of that start follows.
    lose(ended, until = Infinity) {
      const rest = Math.max(0, until - this.origin) + SLACK_MS;
      this.end(this.last, ended, 0, this.lead + (this.outside ? rest : Math.min(rest, LONGEST_MS)));
    }

    get start() {
      return this.origin - (this.lead === Infinity ? 0 : this.lead);
    }
  }

  // The exposures of one board by their first record; `first` and `last` are places in `records`.
  // records: {length, boot, ms, a, b: numbers by place; event, reason: (place) => name}, in the journal's order;
  // order: places of those that count, as `earlidVerifier.EXPOSURE_EVENTS`.
  earlidVerifier.exposuresOf = (records, order, newestBoot) => {
    const found = [];
    let opening = null;
    let outside = null;
    let live = null; // the last closing whose rail was not seen to go
    let boot = 0;
    let over = 0; // ms of this start at which the newest exposure ended

    const begin = (...parts) => {
      found.push(new Exposure(...parts));
      return found.at(-1);
    };
    const lose = (exposure, at) => {
      if (!exposure) return;
      if (exposure.boot === records.boot[at]) exposure.lose("lost", records.ms[at]);
      else exposure.lose("restart");
      if (exposure === opening) opening = null;
      else outside = null;
    };

    const takeOpen = (at, ms) => {
      lose(opening, at);
      live = null;
      opening = begin(at, boot, ms, { reason: records.reason(at), covered: outside !== null });
    };

    const takeLive = (at, ms) => {
      lose(opening, at);
      lose(outside, at);
      if (live?.boot === boot) live.most = Math.max(live.least, ms - live.origin) + SLACK_MS; // it stayed live up to here
      live = null;
      outside = begin(at, boot, ms, { reason: records.reason(at), lead: told(records.b[at]), outside: true });
    };

    const takeMark = (at, ms) => {
      const isOutside = records.reason(at) === "live";
      const origin = ms - records.a[at];
      let exposure = isOutside ? outside : opening;
      if (exposure?.boot !== boot || Math.abs(origin - exposure.origin) > SAME_MS) {
        lose(exposure, at);
        if (isOutside) exposure = outside = begin(at, boot, origin, { lead: Infinity, outside: true });
        else exposure = opening = begin(at, boot, origin, { covered: outside !== null });
      }
      exposure.last = at;
      exposure.least = Math.max(exposure.least, Math.min(records.a[at], records.b[at]));
    };

    // What a `close` says: [least, most, whether the rail was seen to go].
    const receipt = (at) => {
      const lasted = records.a[at];
      const most = records.b[at] >>> 16;
      const least = records.b[at] & 0xffff;
      if (most === NOT_GONE) return [least, Infinity, false];
      if (most > 0) return [least, most, true];
      const gone = least > 0; // firmware 0.1: its drop time
      const unsure = records.reason(at) === "fault" && !gone;
      return [lasted - NO_RAIL_MS, unsure ? Infinity : lasted + (least || DROP_MS) + SLACK_MS, gone];
    };

    const takeClose = (at, ms) => {
      const lasted = records.a[at];
      const late = opening ? ms - opening.origin - lasted : 0;
      if (opening && (opening.boot !== boot || late < -SLACK_MS || late > LATE_MS)) lose(opening, at); // of another, whose `open` is missing
      opening ??= begin(at, boot, ms - lasted, { covered: outside !== null });
      const [least, most, gone] = receipt(at);
      opening.end(at, records.reason(at), least, most);
      live = gone ? null : opening;
      opening = null;
      over = ms;
    };

    const takeDead = (at, ms) => {
      const lasted = records.a[at];
      if (outside && (outside.boot !== boot || lasted > ms - outside.origin + SAME_MS)) lose(outside, at);
      let least = lasted;
      if (!outside) { // its `live` is missing: what was open since then counts by itself
        outside = begin(at, boot, ms - lasted, { lead: Infinity, outside: true });
        least = Math.min(least, ms - over);
      }
      outside.end(at, records.reason(at) || "dead", least, outside.lead + told(records.b[at]));
      outside = null;
      over = ms;
    };

    // What a start knows of the exposure that the reset before it ended.
    const takeReset = (at, isOutside) => {
      const [least, most] = [records.a[at], records.b[at]];
      let exposure = isOutside ? outside : opening;
      const other = isOutside ? opening : outside;
      if (exposure?.boot === boot) {
        lose(exposure, at);
        exposure = null;
      }
      exposure ??= begin(at, boot, most === NOT_KNOWN ? -least : -most, { lead: isOutside ? Infinity : 0, outside: isOutside });
      if (other && other.boot !== boot) lose(other, at);
      exposure.end(at, "reset", least, exposure.lead + told(most));
      if (isOutside) outside = null;
      else opening = null;
    };

    for (const at of order) {
      const ms = records.ms[at];
      if (records.boot[at] !== boot) {
        boot = records.boot[at];
        over = 0;
      }
      const event = records.event(at);
      const reason = records.reason(at);
      if (event === "open") takeOpen(at, ms);
      else if (event === "live") takeLive(at, ms);
      else if (event === "mark") takeMark(at, ms);
      else if (event === "close" || event === "dead") {
        if (reason === "reset") takeReset(at, event === "dead");
        else if (event === "close") takeClose(at, ms);
        else takeDead(at, ms);
      } else if (event === "fault" && reason === "welded" && live) {
        live.most = Infinity; // firmware 0.1 says no more of it
        live = null;
      }
    }
    for (const [exposure, ended] of [[opening, "open"], [outside, "live"]]) {
      if (exposure && exposure.boot !== newestBoot) exposure.lose("restart");
      else if (exposure) Object.assign(exposure, { ended, isUnended: true });
    }
    return found;
  };
  earlidVerifier.EXPOSURE_EVENTS = ["boot", "open", "close", "live", "mark", "dead", "fault"];
  // The upper bound of one that lasts, where all records up to ms `known` of its start are there.
  earlidVerifier.mostUpTo = ({ least, lead, origin }, known) => Math.max(least, lead + Math.max(0, known - origin) + SLACK_MS);
}
