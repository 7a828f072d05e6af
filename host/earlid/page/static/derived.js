// SPDX-License-Identifier: MIT
// What drawing needs of the tables again and again, memoised for each state of the data.
{
  const caches = new Map();
  const seen = { records: -1, labels: -1 };

  // What `make` returns for each argument, kept until records (or labels too) change.
  const memoise = (until, make) => {
    const cache = new Map();
    caches.set(cache, until);
    return (argument) => {
      const { ledger } = earlid;
      const now = { records: ledger.recordsVersion, labels: ledger.version };
      for (const [others, when] of caches) if (seen[when] !== now[when]) others.clear();
      Object.assign(seen, now);
      if (!cache.has(argument)) cache.set(argument, make(argument));
      return cache.get(argument);
    };
  };

  const gather = (column, rows) => {
    const gathered = new column.constructor(rows.length);
    for (let i = 0; i < rows.length; i += 1) gathered[i] = column[rows[i]];
    return gathered;
  };
  const rowsWhere = (kinds, size, fits, boards, board) => {
    const found = new Int32Array(size);
    let count = 0;
    for (let i = 0; i < size; i += 1) if (fits[kinds[i]] && (board < 0 || boards[i] === board)) found[count++] = i;
    return found.slice(0, count);
  };

  // Rows with a score, of one board or all (-1): openings by the word, and near misses.
  const word = memoise("records", (board) => {
    const { openings, code } = earlid.ledger;
    const rows = rowsWhere(openings.reason, openings.rows, { [code.word]: true }, openings.board, board);
    const [t, score, cutoff] = [openings.t, openings.score, openings.cutoff].map((column) => gather(column, rows));
    return { table: openings, rows, t, score, cutoff };
  });
  const near = memoise("records", (board) => {
    const { points, code } = earlid.ledger;
    const rows = rowsWhere(points.event, points.rows, { [code["near-miss"]]: true }, points.board, board);
    const [t, score, cutoff] = [points.t, points.score, points.b].map((column) => gather(column, rows));
    return { table: points, rows, t, score, cutoff };
  });

  // Points that stand in the lane of marks, of one board or all (-1).
  const marks = memoise("records", (board) => {
    const { points, header } = earlid.ledger;
    const shown = header.names.map((_, event) => earlid.lanes.isMark(event));
    const rows = rowsWhere(points.event, points.rows, shown, points.board, board);
    return { t: gather(points.t, rows), event: gather(points.event, rows) };
  });

  // Each board's cutoff as [from, value] wherever it changed, from what openings and near misses say it was.
  const cutoffs = memoise("records", () => {
    const { openings, points, boards, code } = earlid.ledger;
    const changes = boards.map(() => []);
    const last = new Float64Array(boards.length);
    const add = (t, board, value) => {
      if (!value || last[board] === value) return;
      last[board] = value;
      changes[board].push([t, value]);
    };
    for (let i = 0, j = 0; i < openings.rows || j < points.rows; ) {
      if (j === points.rows || (i < openings.rows && openings.t[i] <= points.t[j])) {
        add(openings.t[i], openings.board[i], openings.cutoff[i]);
        i += 1;
      } else {
        if (points.event[j] === code["near-miss"]) add(points.t[j], points.board[j], points.b[j]);
        j += 1;
      }
    }
    return changes;
  });

  // Rows of the openings that have not ended: few.
  const open = memoise("records", () => {
    const { openings } = earlid.ledger;
    const found = [];
    for (let i = 0; i < openings.rows; i += 1) if (openings.live[i] < 0) found.push(i);
    return found;
  });

  // Rows of those in which a rail was live with the lid closed, newest first: few.
  const outside = memoise("records", () => {
    const { openings } = earlid.ledger;
    const found = [];
    for (let i = openings.rows - 1; i >= 0; i -= 1) if (openings.outside[i]) found.push(i);
    return found;
  });

  // Rows of a table whose time is not certain, newest first.
  const doubtful = memoise("records", (name) => {
    const table = earlid.ledger[name];
    const found = [];
    for (let i = table.rows - 1; i >= 0; i -= 1) if (earlid.ledger.isDoubtful(i, table)) found.push(i);
    return found;
  });

  // Rows of the openings that were likely not meant, the likeliest first, then the newest; whatever their labels.
  const likely = memoise("records", () => {
    const { openings, header } = earlid.ledger;
    const byDoubt = Array.from({ length: 101 }, () => []);
    for (let i = openings.rows - 1; i >= 0; i -= 1) if (openings.doubt[i] >= header.check) byDoubt[openings.doubt[i]].push(i);
    return Int32Array.from(byDoubt.reverse().flat());
  });

  // Each board's openings that have ended, and how long its lid had been open when each began: by the word, by the
  // button. Even the shortest counts a millisecond, so that it shows.
  const liveSpans = memoise("records", () => {
    const { openings, boards, code } = earlid.ledger;
    const { t, board, live, reason } = openings;
    const sizes = new Uint32Array(boards.length);
    for (let i = 0; i < openings.rows; i += 1) sizes[board[i]] += 1;
    const result = boards.map((_, number) => {
      const [starts, long, words, buttons] = [0, 0, 1, 1].map((more) => new Float64Array(sizes[number] + more));
      return { size: 0, rows: new Int32Array(sizes[number]), t: starts, live: long, word: words, button: buttons };
    });
    for (let i = 0; i < openings.rows; i += 1) {
      if (live[i] < 0) continue;
      const spans = result[board[i]];
      const at = spans.size;
      const ms = Math.max(1, live[i]);
      const pressed = reason[i] === code.button;
      spans.size += 1;
      spans.rows[at] = i;
      spans.t[at] = t[i];
      spans.live[at] = ms;
      spans.word[at + 1] = spans.word[at] + (pressed ? 0 : ms);
      spans.button[at + 1] = spans.button[at] + (pressed ? ms : 0);
    }
    return result;
  });

  // The same for those labelled not meant.
  const notMeantSums = memoise("labels", () => liveSpans().map(({ size, rows, live }) => {
    const { label } = earlid.ledger.openings;
    const sums = new Float64Array(size + 1);
    for (let at = 0; at < size; at += 1) sums[at + 1] = sums[at] + (label[rows[at]] === 0 ? live[at] : 0);
    return sums;
  }));

  earlid.derived = { word, near, marks, cutoffs, open, outside, doubtful, likely, liveSpans, notMeantSums };
}
