// SPDX-License-Identifier: MIT
// What the acts say of each board: labels, clock observations, when records were taken, purges, its name.
{
  const earlidVerifier = (globalThis.earlidVerifier ||= {});
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
  const isBetween = (boot, seq, run) => {
    if (boot === run.boot_from && seq < run.seq_from) return false;
    if (boot === run.boot_to && seq > run.seq_to) return false;
    return boot >= run.boot_from && boot <= run.boot_to;
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
      return { name, labels, points: [...points.values()], purges: [...purges.values()], anchors, runs };
    }

    addRuns(runs) {
      for (const [boot, ...run] of runs) {
        if (run.length !== 4) throw new TypeError("a run has five numbers");
        const [first, last, least, most] = run.map(whole);
        if (!this.runs.has(whole(boot))) this.runs.set(boot, []);
        const here = this.runs.get(boot);
        let at = here.length;
        while (at && here[at - 1][0] > first) at -= 1;
        here.splice(at, 0, [first, last, least, most]);
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
      run.head_before = row.head_before == null ? null : link(row.head_before);
      run.head_after = link(row.head_after);
      run.at_ms = whole(row.at_ms);
      run.why = text(row.why);
      this.purges.set(`${run.boot_from}:${run.seq_from}`, run);
      return run;
    }

    purge(row) {
      const run = this.addPurge(row);
      for (const table of [this.labels, this.anchors]) {
        for (const key of table.keys()) if (isBetween(...key.split(":").map(Number), run)) table.delete(key);
      }
      for (const [boot, here] of this.runs) {
        if (boot < run.boot_from || boot > run.boot_to) continue;
        const low = boot === run.boot_from ? run.seq_from : 0;
        const high = boot === run.boot_to ? run.seq_to : Infinity;
        this.runs.set(boot, here.flatMap(([first, last, least, most]) => [
          ...(first < low ? [[first, Math.min(last, low - 1), least, most]] : []),
          ...(last > high ? [[Math.max(first, high + 1), last, least, most]] : []),
        ]));
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
    if (Math.min(whole(body.boot), whole(body.seq), whole(body.said_ms)) < 0) throw new TypeError("no number of a record, or no time");
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
    else if (kind === "purge") for (const run of list(body.runs)) board.purge(run);
  };

  // Board -> what acts say of it, in the order of their places ([installation, number, place, kind, body, ...]):
  // {name, labels: "boot:seq" -> [label, at_ms], points: [{boot, ms, source, wall_ms, unc_ms}], purges: [a row as of an export],
  // anchors: "boot:seq" -> link, runs: boot -> [[first seq, last seq, least taken_ms, most taken_ms]], in order, less what was purged}.
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
