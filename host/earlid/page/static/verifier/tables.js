// SPDX-License-Identifier: MIT
// Holds what travels beside the records (labels, purges, names, clock points, when each was taken) against what the acts say.
(() => {
  "use strict";
  const verifier = (globalThis.earlidVerifier ??= {});

  const PURGE = ["boot_from", "seq_from", "boot_to", "seq_to", "count", "head_before", "head_after", "at_ms", "why"];
  const LABEL = ["boot", "seq", "label", "at_ms"];
  const POINT = ["boot", "ms", "wall_ms", "unc_ms"];
  const FROM_RECORDS = [0, 4]; // sources of clock points that are in the records themselves

  const keysOf = (rows, columns) => new Set(rows.map((row) => columns.map((column) => row[column]).join(" ")));
  const isWithin = (one, other) => [...one].every((key) => other.has(key));
  const isSame = (one, other) => one.size === other.size && isWithin(one, other);
  const isBefore = (boot, seq, other) => boot < other.boot || (boot === other.boot && seq < other.seq);

  const recordsOf = (board) => {
    const view = verifier.viewOf(board.slots);
    return Array.from({ length: board.slots.length / verifier.SLOT_BYTES }, (_, i) => ({
      boot: verifier.bootAt(view, i),
      seq: verifier.seqAt(view, i),
      taken_ms: board.taken ? board.taken[i] : null,
    }));
  };

  // What is wrong beside one board's records, a sentence each. Of a part of a ledger only what lies between its first record and
  // its last is looked at.
  const boardFaults = (board, account, is_part) => {
    const told = account.points.filter((point) => !FROM_RECORDS.includes(point.source));
    const labels = [...account.labels].map(([at, [label, at_ms]]) => {
      const [boot, seq] = at.split(":").map(Number);
      return { boot, seq, label, at_ms };
    });
    const records = recordsOf(board);
    const [first, last] = [records[0], records.at(-1)];
    const isHere = (boot, seq) =>
      !is_part || (records.length > 0 && !isBefore(boot, seq, first) && !isBefore(last.boot, last.seq, { boot, seq }));
    const here = (rows) => rows.filter((row) => isHere(row.boot, row.seq));
    const inside = (rows) => rows.filter((row) => isHere(row.boot_from, row.seq_from));
    const starts = new Set(records.map((record) => record.boot));
    const shown = keysOf(board.tables.clock_points, POINT);
    const same = {
      purges: isSame(keysOf(inside(board.tables.purges), PURGE), keysOf(inside(account.purges), PURGE)),
      labels: isSame(keysOf(here(board.tables.labels), LABEL), keysOf(here(labels), LABEL)),
      name: board.name === account.name,
      // a purge takes the clocks of whole starts along
      "clock points":
        isWithin(shown, keysOf(told, POINT)) && isWithin(keysOf(told.filter((point) => starts.has(point.boot)), POINT), shown),
    };
    const differing = Object.keys(same).filter((what) => !same[what]);
    return [
      ...differing.map((what) => `the ${what} given for board ${board.board} differ from what the acts say`),
      ...takenFaults(board, records, account.runs),
    ];
  };

  // Records that no act took, and those taken at another time than the act says.
  const takenFaults = (board, records, runs) => {
    const byPlace = (one, other) => one.boot - other.boot || one.seq - other.seq;
    if (records.some((record, i) => i > 0 && byPlace(records[i - 1], record) > 0)) records.sort(byPlace);
    let untaken = 0;
    let retimed = 0;
    let start = -1;
    let mine = [];
    let at = 0;
    for (const { boot, seq, taken_ms } of records) {
      if (boot !== start) {
        start = boot;
        mine = [...(runs.get(boot) ?? [])].sort((one, other) => one[0] - other[0] || one[1] - other[1]);
        at = 0;
      }
      while (at < mine.length && mine[at][1] < seq) at += 1;
      if (at === mine.length || mine[at][0] > seq) untaken += 1;
      else if (taken_ms !== null && (taken_ms < mine[at][2] || taken_ms > mine[at][3])) retimed += 1;
    }
    const said = [];
    if (untaken) said.push(`no act took ${untaken} of the records of board ${board.board}`);
    if (retimed) said.push(`${retimed} records of board ${board.board} were taken at another time than the acts say`);
    return said;
  };

  const NOTHING_SAID = { name: null, labels: new Map(), points: [], purges: [], anchors: new Map(), runs: new Map() };

  // What of the evidence is not what the acts say; account: of `earlidVerifier.account`.
  const tableFaults = (evidence, account) => {
    const faults = evidence.boards.flatMap((board) => boardFaults(board, account.get(board.board) ?? NOTHING_SAID, evidence.partial));
    if (evidence.sealed) return faults; // a report shows the boards that were asked for
    const here = new Set(evidence.boards.map((board) => board.board));
    const absent = [...account.keys()].filter((board) => !here.has(board));
    return [...faults, ...absent.map((board) => `acts speak of board ${board}, and its records are not here`)];
  };

  Object.assign(verifier, { tableFaults, NOTHING_SAID });
})();
