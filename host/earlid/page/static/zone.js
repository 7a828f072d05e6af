// SPDX-License-Identifier: MIT
// Local time by the table of offsets that came with the data, not by the reader's computer.
{
  const DAY_MS = 864e5;
  const WEEKDAYS = "Sun Mon Tue Wed Thu Fri Sat".split(" ");
  let starts = [0];
  let offsets = [0];
  let last = 0;

  const offset = (ms) => {
    if (ms >= starts[last] && (last + 1 === starts.length || ms < starts[last + 1])) return offsets[last];
    last = 0;
    while (last + 1 < starts.length && ms >= starts[last + 1]) last += 1;
    return offsets[last];
  };
  const dayNumber = (ms) => Math.floor((ms + offset(ms)) / DAY_MS);
  // The first moment of a local day, also of one that is 23 or 25 hours long.
  const dayStart = (day) => {
    const guess = day * DAY_MS - offset(day * DAY_MS - offset(day * DAY_MS));
    return dayNumber(guess) < day ? guess + 36e5 : guess;
  };
  // Reading it with the UTC getters gives local values.
  const local = (ms) => new Date(ms + offset(ms));
  const toUtc = (local_ms) => local_ms - offset(local_ms - offset(local_ms));

  const dateText = (ms) => {
    const at = local(ms);
    return `${WEEKDAYS[at.getUTCDay()]} ${at.getUTCDate()} ${earlid.monthName(at.getUTCMonth())} ${at.getUTCFullYear()}`;
  };
  const clockText = (ms, parts) => {
    const at = local(ms);
    const text = [at.getUTCHours(), at.getUTCMinutes(), at.getUTCSeconds()].slice(0, parts).map(earlid.twoDigits).join(":");
    const ahead = offsets[last]; // the clocks went back within what they went back by: shown before, so with its offset
    if (!last || ms - starts[last] >= offsets[last - 1] - ahead) return text;
    const minutes = Math.abs(ahead) / 6e4;
    return `${text}${ahead < 0 ? "-" : "+"}${earlid.twoDigits(Math.floor(minutes / 60))}:${earlid.twoDigits(minutes % 60)}`;
  };
  const timeText = (ms) => clockText(ms, 3);
  const minuteText = (ms) => clockText(ms, 2);

  earlid.zone = {
    set(pairs) {
      starts = pairs.map((pair) => pair[0]);
      offsets = pairs.map((pair) => pair[1]);
      last = 0;
    },
    offset, dayNumber, dayStart, local, toUtc, dateText, timeText, minuteText,
    shortDate: (ms) => dateText(ms).replace(/ \d{4}$/, ""),
    rangeText(t0, t1) {
      const seconds = t1 - t0 < 2 * 36e5;
      const clock = (ms) => (seconds ? timeText(ms) : minuteText(ms));
      const whole = dayStart(dayNumber(t0)) === t0 && dayStart(dayNumber(t1)) === t1;
      if (whole && dayNumber(t1) - dayNumber(t0) === 1) return dateText(t0);
      if (whole || t1 - t0 > 14 * DAY_MS) return `${dateText(t0)} to ${dateText(whole ? t1 - 1 : t1)}`;
      const end = dayNumber(t0) === dayNumber(t1) ? clock(t1) : `${dateText(t1)}, ${clock(t1)}`;
      return `${dateText(t0)}, ${clock(t0)} to ${end}`;
    },
  };
}
