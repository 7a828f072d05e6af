// SPDX-License-Identifier: MIT
// What drawing asks of the tables again and again: made once for each state of the data.
{
  const kept = new Map();
  const of = { records: -1, labels: -1 };

  // What `make` gives for each argument, kept until records (or labels too) change.
  const keep = (until, make) => {
    const answers = new Map();
    kept.set(answers, until);
    return (asked) => {
      const { story } = earlid;
      const now = { records: story.records, labels: story.version };
      for (const [others, when] of kept) if (of[when] !== now[when]) others.clear();
      Object.assign(of, now);
      if (!answers.has(asked)) answers.set(asked, make(asked));
      return answers.get(asked);
    };
  };

  const take = (column, rows) => {
    const taken = new column.constructor(rows.length);
    for (let i = 0; i < rows.length; i += 1) taken[i] = column[rows[i]];
    return taken;
  };
  const rowsOf = (kinds, size, fits, boards, board) => {
    const found = new Int32Array(size);
    let count = 0;
    for (let i = 0; i < size; i += 1) if (fits[kinds[i]] && (board < 0 || boards[i] === board)) found[count++] = i;
    return found.slice(0, count);
  };

  // Rows with a score, of one board or all (-1): openings by the word, and near misses.
  const word = keep("records", (board) => {
    const { openings, code } = earlid.story;
    const rows = rowsOf(openings.reason, openings.rows, { [code.word]: true }, openings.board, board);
    const [t, score, cutoff] = [openings.t, openings.score, openings.cutoff].map((column) => take(column, rows));
    return { table: openings, rows, t, score, cutoff };
  });
  const near = keep("records", (board) => {
    const { points, code } = earlid.story;
    const rows = rowsOf(points.event, points.rows, { [code["near-miss"]]: true }, points.board, board);
    const [t, score, cutoff] = [points.t, points.score, points.b].map((column) => take(column, rows));
    return { table: points, rows, t, score, cutoff };
  });

  // Points that stand in the lane of marks, of one board or all (-1).
  const marks = keep("records", (board) => {
    const { points, header } = earlid.story;
    const shown = header.names.map((_, event) => earlid.lanes.isMark(event));
    const rows = rowsOf(points.event, points.rows, shown, points.board, board);
    return { t: take(points.t, rows), event: take(points.event, rows) };
  });

  // Each board's cutoff as [from, value] wherever it changed, from what openings and near misses say it was.
  const cutoffs = keep("records", () => {
    const { openings, points, boards, code } = earlid.story;
    const changes = boards.map(() => []);
    const last = new Float64Array(boards.length);
    const see = (t, board, value) => {
      if (!value || last[board] === value) return;
      last[board] = value;
      changes[board].push([t, value]);
    };
    for (let i = 0, j = 0; i < openings.rows || j < points.rows; ) {
      if (j === points.rows || (i < openings.rows && openings.t[i] <= points.t[j])) {
        see(openings.t[i], openings.board[i], openings.cutoff[i]);
        i += 1;
      } else {
        if (points.event[j] === code["near-miss"]) see(points.t[j], points.board[j], points.b[j]);
        j += 1;
      }
    }
    return changes;
  });

  // Rows of the openings that have not ended: few.
  const open = keep("records", () => {
    const { openings, code } = earlid.story;
    const found = [];
    for (let i = 0; i < openings.rows; i += 1) if (openings.live[i] < 0 && openings.ended[i] === code.open) found.push(i);
    return found;
  });

  // Each board's openings that have ended, and how long its lid had been open when each began: by the word, by the
  // button. Even the shortest counts a millisecond, so that it shows.
  const lives = keep("records", () => {
    const { openings, boards, code } = earlid.story;
    const { t, board, live, ended, reason } = openings;
    const sizes = new Uint32Array(boards.length);
    for (let i = 0; i < openings.rows; i += 1) sizes[board[i]] += 1;
    const made = boards.map((_, number) => {
      const [starts, long, words, buttons] = [0, 0, 1, 1].map((more) => new Float64Array(sizes[number] + more));
      return { size: 0, rows: new Int32Array(sizes[number]), t: starts, live: long, word: words, button: buttons };
    });
    for (let i = 0; i < openings.rows; i += 1) {
      if (live[i] < 0 && ended[i] === code.open) continue;
      const mine = made[board[i]];
      const at = mine.size;
      const ms = Math.max(1, live[i]);
      const pressed = reason[i] === code.button;
      mine.size += 1;
      mine.rows[at] = i;
      mine.t[at] = t[i];
      mine.live[at] = ms;
      mine.word[at + 1] = mine.word[at] + (pressed ? 0 : ms);
      mine.button[at + 1] = mine.button[at] + (pressed ? ms : 0);
    }
    return made;
  });

  // The same for those labelled not meant.
  const unmeant = keep("labels", () => lives().map(({ size, rows, live }) => {
    const { label } = earlid.story.openings;
    const sums = new Float64Array(size + 1);
    for (let at = 0; at < size; at += 1) sums[at + 1] = sums[at] + (label[rows[at]] === 0 ? live[at] : 0);
    return sums;
  }));

  earlid.extracts = { word, near, marks, cutoffs, open, lives, unmeant };
}
