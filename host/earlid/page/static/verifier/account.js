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

  // What acts say of one board. Keys of labels, anchors and purges are `boot:seq`, of points `boot:ms:source`.
  class BoardAccount {
    constructor() {
      this.name = null;
      this.labels = new Map(); // -> {boot, seq, label, at_ms}
      this.points = new Map(); // -> {boot, ms, source, wall_ms, unc_ms}
      this.purges = new Map(); // first record -> a row as of an export
      this.anchors = new Map(); // -> {boot, seq, link}
      this.runs = new Map(); // boot -> [[first seq, last seq, least taken_ms, most taken_ms]], in order
      this.newest = { boot: 0, seq: 0 };
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
      this.labels.set(`${whole(boot)}:${whole(seq)}`, { boot, seq, label: whole(label), at_ms: whole(at_ms) });
    }

    // The newest head alone; an older one stays where the board's numbers began anew.
    takeHead([boot, seq, behind]) {
      if (whole(seq) >= this.newest.seq) this.anchors.delete(`${this.newest.boot}:${this.newest.seq}`);
      this.anchors.set(`${whole(boot)}:${seq}`, { boot, seq, link: link(behind) });
      this.newest = { boot, seq };
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
        for (const [key, { boot, seq }] of table) if (isBetween(boot, seq, run)) table.delete(key);
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
          else if (title === "anchors") this.anchors.set(`${whole(row.boot)}:${whole(row.seq)}`, { ...row, link: link(row.link) });
          else if (title === "clock_points") this.addPoint({ source: IMPORTED, ...row });
          else if (title !== "notes") throw new TypeError(title);
        }
      }
    }
  }

  earlidVerifier.BoardAccount = BoardAccount;

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
      const key = `${whole(body.boot)}:${whole(body.seq)}`;
      if (body.label === null) board.labels.delete(key);
      else board.setLabel(body.boot, body.seq, body.label, body.said_ms);
    } else if (kind === "name") board.name = body.name === null ? null : text(body.name);
    else if (kind === "note") [whole(body.noted_ms), text(body.kind)];
    else if (kind === "purge") for (const run of list(body.runs)) board.purge(run);
  };

  // Board -> BoardAccount, by acts in the order of their places ([installation, number, place, kind, body, ...]); `unread`:
  // [installation, number] of those whose body is not what their kind has. An act whose body was taken out says nothing;
  // `isValid(act, index)` leaves out those that nobody signed.
  earlidVerifier.account = (acts, isValid = () => true) => {
    const boards = new Map();
    boards.unread = [];
    acts.forEach((act, index) => {
      const [installation, number, , kind, body] = act;
      if (body === null || !isValid(act, index)) return;
      try {
        apply(boards, kind, body ? earlidVerifier.parseObject(body) : {});
      } catch {
        boards.unread.push([installation, number]);
      }
    });
    return boards;
  };
}
