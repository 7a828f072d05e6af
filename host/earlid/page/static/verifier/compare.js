// SPDX-License-Identifier: MIT
// Compares what a report shows with what its records and acts give, cell by cell.
{
  const earlidVerifier = (globalThis.earlidVerifier ||= {});
  const LISTED = 500; // differences told one by one
  const SLACK_MS = 20;
  const DOUBTFUL_MS = 6e4;
  const CODED = ["event", "reason", "ended"]; // columns of words
  const CUT = ["live", "least", "most", "reason", "ended"]; // cells that the other end of an opening tells
  const UNENDED = ["open", "live", "restart", "lost"];
  const ROW = { openings: "opening", points: "record" };

  class Differences {
    constructor() {
      this.found = [[], []]; // those that are certain, those that may rest on what the report does not carry
      this.left = [0, 0];
    }

    // `cannot`: it may rest on what the report does not carry, so nothing says that it is wrong.
    add(what, { board, boot = 0, seq = 0 }, shown, computed, cannot = false) {
      const kind = Number(Boolean(cannot));
      if (this.found[kind].length < LISTED) this.found[kind].push({ what, board, boot, seq, shown, computed, cannot: Boolean(cannot) });
      else this.left[kind] += 1;
    }

    rows() {
      const more = (kind) => (this.left[kind] ? [{ what: "more", board: "", boot: 0, seq: 0, shown: null, computed: this.left[kind], cannot: kind === 1 }] : []);
      return [...this.found[0], ...more(0), ...this.found[1], ...more(1)];
    }
  }

  // Place of (board, boot, seq) in a computed table, -1 for none: its rows are in this order. `guess`: where it is tried first.
  const find = (table, guess, board, boot, seq) => {
    const is = (n) => n < table.rows && table.seq[n] === seq && table.boot[n] === boot && table.board[n] === board;
    if (is(guess)) return guess;
    let low = 0;
    for (let high = table.rows; low < high; ) {
      const middle = (low + high) >> 1;
      if ((table.board[middle] - board || table.boot[middle] - boot || table.seq[middle] - seq) < 0) low = middle + 1;
      else high = middle;
    }
    return is(low) ? low : -1;
  };

  // How late the shown times of each start are. A start's times rest on one clock, so they move together or not at all.
  class Shifts {
    constructor(boards) {
      this.lengthOf = (board, boot) => boards[board].starts.get(boot).length;
      this.starts = boards.map(() => new Map());
    }

    add(board, boot, late, agrees) {
      if (!this.starts[board].has(boot)) this.starts[board].set(boot, { late: [], agrees: false });
      const start = this.starts[board].get(boot);
      start.late.push(late);
      start.agrees ||= agrees;
    }

    agrees(board, boot) {
      return this.starts[board].get(boot)?.agrees ?? false;
    }

    movesTogether(board, boot, late) {
      const start = this.starts[board].get(boot);
      start.middle ??= start.late.sort((one, other) => one - other)[start.late.length >> 1];
      return Math.abs(late - start.middle) <= SLACK_MS + this.lengthOf(board, boot) / 1e4;
    }
  }

  class Comparison {
    constructor(recomputed, { header, tables }) {
      this.header = header;
      this.shown = tables;
      this.boards = recomputed.boards;
      this.untold = recomputed.untold;
      this.differences = new Differences();
      this.numberOf = header.boards.map(({ board }) => this.boards.findIndex((item) => item.board === board));
      this.isShown = this.boards.map((board, number) => this.numberOf.includes(number));
      this.partial = this.boards.map(({ isHeadless, isTailless }) => isHeadless || isTailless);
      this.isRange = header.from !== null || header.to !== null;
      this.codeOf = header.names.map((name) => earlidVerifier.NAMES.indexOf(name));
      this.shifts = new Shifts(this.boards);
      this.computed = { openings: this.boundLasting(recomputed), points: recomputed.points };
      this.outside = this.findOutside();
    }

    // What lasts is bounded by when its board was last heard of: that is Earlid's word, and no record's.
    boundLasting({ openings }) {
      const most = openings.most.slice();
      this.header.boards.forEach(({ seen }, place) => {
        const board = this.boards[this.numberOf[place]];
        if (!board?.heard || board.heard.wall[1] >= DOUBTFUL_MS) return;
        const known = Math.max(0, seen - board.heard.wall[0]) + board.heard.ms;
        for (const exposure of board.lasting) {
          const ms = earlidVerifier.mostUpTo(exposure, known);
          most[exposure.row] = ms === Infinity ? -1 : ms;
        }
      });
      return { ...openings, most };
    }

    addDoubts(met) {
      const { openings } = this.computed;
      const { offsets } = this.header.zone;
      const hourOf = (ms) => {
        const [, ahead] = offsets.findLast(([from]) => from <= ms) ?? offsets[0];
        return Math.floor((ms + ahead) / 36e5) % 24;
      };
      const chosen = Uint8Array.from({ length: openings.rows }, (_, n) => met[n] || this.isInRange("openings", openings, n));
      Object.assign(openings, earlidVerifier.doubtsOf(openings, chosen, this.boards.map(({ habits }) => habits), hourOf));
    }

    // Openings are looked for in starts that reach into two hours around the range: the other half of one may be there.
    isInRange(name, table, n) {
      const { from, to } = this.header;
      const [begin, end] = this.boards[table.board[n]].starts.get(table.boot[n]).span;
      const margin = name === "points" ? 0 : 2 * 36e5;
      if ((from !== null && end < from - margin) || (to !== null && begin >= to + margin)) return false;
      const drawn = name === "points" ? 0 : table.most[n] >= 0 ? table.most[n] : table.least[n];
      const { mayLieIn } = earlidVerifier;
      return mayLieIn(table.t[n], table.unc[n], null, to) && mayLieIn(table.t[n] + drawn, table.unc[n], from, null);
    }

    // Boards with a rail that was live outside openings: that may begin and end far outside the range, and bears on openings.
    findOutside() {
      const boards = new Set();
      const { openings } = this.computed;
      for (let n = 0; n < openings.rows; n += 1) if (openings.outside[n]) boards.add(openings.board[n]);
      const shown = this.shown.openings;
      for (let i = 0; i < shown.rows; i += 1) if (shown.outside[i]) boards.add(this.numberOf[shown.board[i]]);
      return boards;
    }

    // Whether records of a start may be missing at its beginning or end.
    isCutStart(board, boot) {
      const { isHeadless, isTailless, starts } = this.boards[board];
      const boots = [...starts.keys()];
      return (isHeadless && boot === boots[0]) || (isTailless && boot === boots.at(-1));
    }

    // Whether an opening may begin or end in records that are not here.
    isCut(name, n) {
      const table = this.computed[name];
      const board = table.board[n];
      if (name === "points") return false;
      if (this.isRange && this.outside.has(board)) return true;
      if (!this.partial[board]) return false;
      return table.seq[n] <= this.boards[board].unsureUpTo || UNENDED.includes(earlidVerifier.NAMES[table.ended[n]]);
    }

    at(table, n) {
      return { board: this.boards[table.board[n]].board, boot: table.boot[n], seq: table.seq[n] };
    }

    // Of each shown row the computed one of its record, -1 for none: tells of those; and which were met.
    match(name) {
      const [table, shown] = [this.computed[name], this.shown[name]];
      const rows = new Int32Array(shown.rows).fill(-1);
      const next = this.boards.map(() => 0); // shown rows of a board mostly come one behind the other
      const met = new Uint8Array(table.rows);
      for (let i = 0; i < shown.rows; i += 1) {
        const number = this.numberOf[shown.board[i]] ?? -1;
        const [boot, seq] = [shown.boot[i], shown.seq[i]];
        const n = number < 0 ? -1 : find(table, next[number], number, boot, seq);
        if (n < 0) {
          const at = { board: this.header.boards[shown.board[i]]?.board ?? "", boot, seq };
          const board = this.boards[number];
          const isElsewhere = this.partial[number] && (seq < board.first || seq > board.last);
          const mayBeCut = (this.isRange && this.outside.has(number)) || (this.partial[number] && seq <= board.unsureUpTo);
          this.differences.add(`${ROW[name]} added`, at, shown.t[i], null, isElsewhere || (name === "openings" && mayBeCut));
          continue;
        }
        if (met[n]) this.differences.add(`${ROW[name]} twice`, this.at(table, n), shown.t[i], null);
        met[n] = 1;
        rows[i] = n;
        next[number] = n + 1;
        if (this.partial[number]) {
          const late = shown.t[i] - table.t[n];
          this.shifts.add(number, boot, late, late === 0 && shown.unc[i] === table.unc[n]);
        }
      }
      return { rows, met };
    }

    compareCells(name, rows) {
      const [table, shown] = [this.computed[name], this.shown[name]];
      for (const column of Object.keys(table)) {
        if (["rows", "board", "boot", "seq"].includes(column)) continue;
        const [here, there] = [table[column], shown[column]];
        const isCoded = CODED.includes(column);
        for (let i = 0; i < rows.length; i += 1) {
          const n = rows[i];
          if (n < 0 || here[n] === (isCoded ? this.codeOf[there[i]] : there[i])) continue;
          const words = isCoded ? [this.header.names[there[i]] ?? "?", earlidVerifier.NAMES[here[n]]] : [there[i], here[n]];
          this.differences.add(column, this.at(table, n), ...words, this.mayRestElsewhere(name, column, i, n));
        }
      }
    }

    mayRestElsewhere(name, column, i, n) {
      const table = this.computed[name];
      const [board, boot] = [table.board[n], table.boot[n]];
      if (CUT.includes(column) && this.isCut(name, n)) return true;
      // A rail that was live since before what is carried counts for the openings in it.
      if (column === "least" && this.boards[board].isHeadless && this.shown[name].least[i] === 0) return true;
      if (!this.partial[board]) return false;
      if (column === "doubt" || column === "signs") return true; // by habits, and by what is near in time
      if (column === "label") return this.untold.includes("import");
      if (column !== "t" && column !== "unc") return false;
      // Of a start that is carried in part some clock points are missing: near them times differ by less than they may be off.
      const late = this.shown[name].t[i] - table.t[n];
      if (this.isCutStart(board, boot) && Math.abs(late) <= Math.max(table.unc[n], this.shown[name].unc[i])) return true;
      return this.isCut(name, n) || (!this.shifts.agrees(board, boot) && this.shifts.movesTogether(board, boot, late));
    }

    findLeftOut(name, met) {
      const table = this.computed[name];
      for (let n = 0; n < table.rows; n += 1) {
        if (met[n] || !this.isShown[table.board[n]] || !this.isInRange(name, table, n)) continue;
        const isSure = !this.partial[table.board[n]] || this.shifts.agrees(table.board[n], table.boot[n]);
        this.differences.add(`${ROW[name]} left out`, this.at(table, n), null, table.t[n], !isSure || this.isCut(name, n));
      }
    }

    compareBoards() {
      this.header.boards.forEach((shown, place) => {
        const board = this.boards[this.numberOf[place]];
        if (!board) {
          this.differences.add("board added", shown, shown.board, null);
          return;
        }
        const hides = board.isTailless || !board.lidIsSure;
        for (const [column, cannot] of [["lid", hides], ["since", hides || board.isHeadless], ["why", hides]]) {
          if (shown[column] !== board[column]) this.differences.add(column, { board: board.board }, shown[column], board[column], cannot);
        }
        if (!shown.board.includes(".") && (shown.name ?? null) !== board.name && !/[^ -~]/.test(board.name ?? "")) {
          this.differences.add("name", { board: board.board }, shown.name, board.name, this.untold.includes("import"));
        }
      });
      this.compareGaps();
    }

    compareGaps() {
      const key = ({ board, first, last, boot }) => `${board} ${first} ${last} ${boot}`;
      const shown = this.header.gaps.filter(({ board }) => this.boards.some((item) => item.board === board));
      const computed = this.boards.filter((_, number) => this.isShown[number])
        .flatMap(({ board, gaps }) => gaps.map(([first, last, boot]) => ({ board, first, last, boot })));
      const [there, here] = [new Set(shown.map(key)), new Set(computed.map(key))];
      const text = ({ first, last }) => `${first} to ${last}`;
      for (const gap of shown) {
        const number = this.boards.findIndex(({ board }) => board === gap.board);
        const { first, last } = this.boards[number];
        if (!here.has(key(gap))) {
          this.differences.add("gap", { ...gap, seq: gap.first }, text(gap), null, this.partial[number] && (gap.first < first || gap.last > last));
        }
      }
      const cannot = this.untold.includes("purge"); // which may tell where the records went
      for (const gap of computed) if (!there.has(key(gap))) this.differences.add("gap", { ...gap, seq: gap.first }, null, text(gap), cannot);
    }

    run() {
      const found = ["openings", "points"].map((name) => [name, this.match(name)]);
      this.addDoubts(found[0][1].met);
      for (const [name, { rows, met }] of found) {
        this.compareCells(name, rows);
        this.findLeftOut(name, met);
      }
      this.compareBoards();
      return this.differences.rows();
    }
  }

  // What a report shows ({header, tables}, as pack.js unpacks them) and its evidence does not give:
  // [{what: a column, "opening left out", ..., board, boot, seq, shown, computed, cannot}]; times in Unix ms, words as words.
  earlidVerifier.compare = (recomputed, shown) => (recomputed.isRefused ? [] : new Comparison(recomputed, shown).run());
}
