// SPDX-License-Identifier: MIT
// How likely each opening was not meant, as Earlid reckons it: the rules and weights of doubt.py. An opinion, but one that can be checked.
{
  const earlidVerifier = (globalThis.earlidVerifier ||= {});
  const SIGNS = { near: 1, hour: 2, silent: 4, cluster: 8, byHand: 16 };
  const WEIGHTS = { hour: 25, silent: 25, cluster: 20, byHand: 40 };
  const NEAR_WEIGHT = 60;
  const NEAR_SHARE = 0.4;
  const SHORT_MS = 4000;
  const CLUSTER_MS = 120_000;
  const USUAL_FROM = 20;
  const UNUSUAL_SHARE = 0.02;

  const roundHalfEven = (value) => {
    const low = Math.floor(value);
    return value - low === 0.5 ? low + (low % 2) : Math.round(value);
  };

  // Whether a board is hardly ever opened at an hour, by the hours of its openings by the word.
  const unusual = (hours, hour) => {
    const all = hours.reduce((sum, count) => sum + count, 0);
    const near = hours[(hour + 23) % 24] + hours[hour] + hours[(hour + 1) % 24];
    return all >= USUAL_FROM && near <= Math.max(2, UNUSUAL_SHARE * all);
  };

  // Whether another of these times, which rise, lies within two minutes of one of them.
  const isCrowded = (times, at) => {
    let low = 0;
    for (let high = times.length; low < high; ) {
      const middle = (low + high) >> 1;
      if (times[middle] < at - CLUSTER_MS) low = middle + 1;
      else high = middle;
    }
    return low + 1 < times.length && times[low + 1] <= at + CLUSTER_MS;
  };

  // {doubt, signs} of each row of `openings` (columns; of those with `chosen` set alone). habits: of each board the Unix ms of
  // its newest openings by the word; hourOf: Unix ms -> local hour.
  earlidVerifier.doubtsOf = (openings, chosen, habits, hourOf) => {
    const { NAMES } = earlidVerifier;
    const word = NAMES.indexOf("word");
    const [doubt, signs] = [new Uint8Array(openings.rows), new Uint8Array(openings.rows)];
    const isUnusual = habits.map((moments) => {
      const counts = new Array(24).fill(0);
      for (const ms of moments) counts[hourOf(ms)] += 1;
      return counts.map((_, hour) => unusual(counts, hour));
    });
    const spoken = habits.map(() => []);
    for (let n = 0; n < openings.rows; n += 1) if (chosen[n] && openings.reason[n] === word) spoken[openings.board[n]].push(openings.t[n]);
    const times = spoken.map((list) => Float64Array.from(list).sort());
    for (let n = 0; n < openings.rows; n += 1) {
      if (!chosen[n] || openings.reason[n] !== word || openings.outside[n]) continue;
      const [at, ended] = [openings.t[n], NAMES[openings.ended[n]]];
      const isShort = openings.least[n] <= SHORT_MS;
      const margin = (openings.score[n] - openings.cutoff[n]) / Math.max(1, 255 - openings.cutoff[n]);
      const near = Math.max(0, Math.min(1, 1 - margin / NEAR_SHARE));
      let percent = 0;
      const add = (holds, sign) => {
        if (!holds) return;
        signs[n] |= SIGNS[sign];
        percent += WEIGHTS[sign] ?? 0;
      };
      add(near > 0, "near");
      add(openings.unc[n] < 36e5 && isUnusual[openings.board[n]][hourOf(at)], "hour");
      add(ended === "silence" && isShort, "silent");
      add(isCrowded(times[openings.board[n]], at), "cluster");
      add(isShort && (ended === "button" || ended === "host" || ended === "mute"), "byHand");
      doubt[n] = Math.min(100, roundHalfEven(near * NEAR_WEIGHT + percent));
    }
    return { doubt, signs };
  };
}
