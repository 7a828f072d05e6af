// SPDX-License-Identifier: MIT
// What the acts say of each board: labels, clock observations, when records were taken, purges, its name.
{
  const earlidVerifier = (globalThis.earlidVerifier ||= {});
  const RUNS_MAX = 1e6;
  const IMPORTED = 3; // source of clock points in an import that names none

  const whole = (value) => {
    if (!Number.isSafeInteger(value) || value < 0) throw new TypeError("a whole number was expected");
    return value;
  };
  const text = (value) => {
    if (typeof value !== "string") throw new TypeError("a text was expected");
    return value;
  };
  const list = (value) => {
    if (!Array.isArray(value)) throw new TypeError("a list was expected");
    return value;
  };
  const link = (value) => {
    if (!/^([0-9a-f]{2})*$/i.test(text(value))) throw new TypeError("hex digits were expected");
    return value.toLowerCase();
  };
  const isBefore = (boot, seq, other_boot, other_seq) => boot < other_boot || (boot === other_boot && seq < other_seq);

  // Purged runs as spans that do not overlap, in order.
  const spansOf = (runs) => {
    const spans = [];
    const sorted = [...runs].sort((one, other) => one.boot_from - other.boot_from || one.seq_from - other.seq_from);
    for (const { boot_from, seq_from, boot_to, seq_to } of sorted) {
      const last = spans.at(-1);
      if (isBefore(boot_to, seq_to, boot_from, seq_from)) continue;
      if (!last || isBefore(last.boot_to, last.seq_to, boot_from, seq_from)) spans.push({ boot_from, seq_from, boot_to, seq_to });
      else if (isBefore(last.boot_to, last.seq_to, boot_to, seq_to)) Object.assign(last, { boot_to, seq_to });
    }
    return spans;
  };

  // Place of the first span that does not end before a record.
  const spanAt = (spans, boot, seq) => {
    let [low, high] = [0, spans.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isBefore(spans[middle].boot_to, spans[middle].seq_to, boot, seq)) low = middle + 1;
      else high = middle;
    }
    return low;
  };

  const keyOf = (boot, seq) => `${whole(boot)}:${whole(seq)}`;

  // What acts say of one board while they are read.
  class BoardAccount {
    constructor() {
      this.name = null;
      this.labels = new Map();
      this.points = new Map();
      this.purges = new Map();
      this.anchors = new Map();
      this.runs = new Map();
      this.newest = { key: "0:0", seq: 0 };
    }

    said() {
      const { name, labels, points, purges, anchors, runs } = this;
      for (const here of runs.values()) here.sort((one, other) => one[0] - other[0] || one[1] - other[1] || one[2] - other[2]);
      return { name, labels, points: [...points.values()], purges: [...purges.values()], anchors, runs };
    }

    addRuns(runs) {
      for (const [boot, ...run] of runs) {
        if (run.length !== 4) throw new TypeError("a run has five numbers");
        const [first, last, least, most] = run.map(whole);
        if (!this.runs.has(whole(boot))) this.runs.set(boot, []);
        this.runs.get(boot).push([first, last, least, most]);
      }
    }

    addPoint({ boot, ms, source, wall_ms, unc_ms }) {
      const key = `${whole(boot)}:${whole(ms)}:${whole(source)}`;
      this.points.set(key, { boot, ms, source, wall_ms: whole(wall_ms), unc_ms: whole(unc_ms) });
    }

    setLabel(boot, seq, label, at_ms) {
      this.labels.set(keyOf(boot, seq), [whole(label), whole(at_ms)]);
    }

    // The newest head alone; an older one stays where the board's numbers began anew.
    takeHead([boot, seq, behind]) {
      const key = keyOf(boot, seq);
      if (seq >= this.newest.seq) this.anchors.delete(this.newest.key);
      this.anchors.set(key, link(behind));
      this.newest = { key, seq };
    }

    addPurge(row) {
      const run = {};
      for (const name of ["boot_from", "seq_from", "boot_to", "seq_to", "count"]) run[name] = whole(row[name]);
      run.head_before = row.head_before === null ? null : link(row.head_before);
      run.head_after = link(row.head_after);
      run.at_ms = whole(row.at_ms);
      run.why = text(row.why);
      this.purges.set(`${run.boot_from}:${run.seq_from}`, run);
      return run;
    }

    purge(rows) {
      const runs = [];
      try {
        for (const row of rows) runs.push(this.addPurge(row));
      } finally {
        this.forget(spansOf(runs));
      }
    }

    // Takes out what was said of the records in some spans.
    forget(spans) {
      for (const table of [this.labels, this.anchors]) {
        for (const key of table.keys()) {
          const [boot, seq] = key.split(":").map(Number);
          const span = spans[spanAt(spans, boot, seq)];
          if (span && !isBefore(boot, seq, span.boot_from, span.seq_from)) table.delete(key);
        }
      }
      for (const [boot, here] of this.runs) {
        const left = [];
        for (const [first, last, least, most] of here) {
          let from = first;
          for (let at = spanAt(spans, boot, first); at < spans.length; at += 1) {
            const span = spans[at];
            if (isBefore(boot, last, span.boot_from, span.seq_from)) break;
            if (isBefore(boot, from, span.boot_from, span.seq_from)) left.push([from, span.seq_from - 1, least, most]);
            from = span.boot_to === boot ? span.seq_to + 1 : Infinity;
            if (left.length > RUNS_MAX) throw new TypeError("more runs than a board can have");
          }
          if (from <= last) left.push([from, last, least, most]);
        }
        this.runs.set(boot, left);
      }
    }

    addTables(tables) {
      if (typeof tables !== "object" || tables === null || Array.isArray(tables)) throw new TypeError("tables were expected");
      for (const [title, rows] of Object.entries(tables)) {
        for (const row of list(rows)) {
          if (title === "labels") this.setLabel(row.boot, row.seq, row.label, row.at_ms);
          else if (title === "purges") this.addPurge(row);
          else if (title === "anchors") this.anchors.set(keyOf(row.boot, row.seq), link(row.link));
          else if (title === "clock_points") this.addPoint({ source: IMPORTED, ...row });
          else if (title !== "notes") throw new TypeError(title);
        }
      }
    }
  }

  const checkWitness = (body) => {
    if (link(body.link).length !== 24) throw new TypeError("a link of another length");
    [whole(body.boot), whole(body.seq), whole(body.said_ms)];
    text(body.by);
  };

  // Takes an act; an error where its body is not what its kind has.
  const apply = (boards, kind, body) => {
    if (!earlidVerifier.KINDS.includes(kind)) throw new TypeError(kind);
    if (typeof body !== "object" || body === null || Array.isArray(body)) throw new TypeError("an act's body is an object");
    if ("retention" in body) text(body.retention);
    if (kind === "purge") {
      for (const pair of list(body.redacts)) {
        if (list(pair).length !== 2) throw new TypeError("a computer and a number were expected");
        [text(pair[0]), whole(pair[1])];
      }
    }
    if (!("board" in body)) return;
    const identifier = text(body.board);
    if (!boards.has(identifier)) boards.set(identifier, new BoardAccount());
    const board = boards.get(identifier);
    if (body.head != null) board.takeHead(body.head);
    if (kind === "took") board.addRuns(list(body.runs));
    else if (kind === "adopt" || kind === "import") {
      board.addRuns(list("runs" in body ? body.runs : []));
      board.addTables("tables" in body ? body.tables : {});
      if (body.name != null) board.name = text(body.name);
    } else if (kind === "clock") board.addPoint(body);
    else if (kind === "label") {
      if (body.label === null) board.labels.delete(keyOf(body.boot, body.seq));
      else board.setLabel(body.boot, body.seq, body.label, body.said_ms);
    } else if (kind === "name") board.name = body.name === null ? null : text(body.name);
    else if (kind === "witness") checkWitness(body);
    else if (kind === "note") [whole(body.noted_ms), text(body.kind)];
    else if (kind === "purge") board.purge(list(body.runs));
  };

  // Board -> what acts say of it, in the order of their places ([installation, number, place, kind, body, ...]):
  // {name, labels: "boot:seq" -> [label, at_ms], points: [{boot, ms, source, wall_ms, unc_ms}], purges: [a row as of an export],
  // anchors: "boot:seq" -> link, runs: boot -> [[first seq, last seq, least taken_ms, most taken_ms]...], in order}; less what is purged.
  // On the map `unread`: [installation, number] of acts whose body is not what their kind has. One whose body was taken out says
  // nothing; `isValid(act, index)` leaves out those that nobody signed.
  earlidVerifier.account = (acts, isValid = () => true) => {
    const boards = new Map();
    const unread = [];
    acts.forEach((act, index) => {
      const [installation, number, , kind, body] = act;
      if (body === null || !isValid(act, index)) return;
      try {
        apply(boards, kind, body ? earlidVerifier.parseObject(body) : {});
      } catch {
        unread.push([installation, number]);
      }
    });
    return Object.assign(new Map([...boards].map(([board, account]) => [board, account.said()])), { unread });
  };
}
