// SPDX-License-Identifier: MIT
// The timeline's lanes: when live, how sure, what else. Few things are drawn one by one, many as sums of two pixels' width.
{
  const BIN = 2;
  const FEW = 400;
  const buffers = new Map();
  const buffer = (name, size) => {
    if ((buffers.get(name)?.length ?? 0) < size) buffers.set(name, new Float64Array(size));
    return buffers.get(name).fill(0, 0, size);
  };
  const shown = (board, only) => only < 0 || board === only;

  const lanes = {};

  // A lane of when one board's microphone (or every board's, with board -1) was live.
  lanes.live = (ctx, { t0, t1, width, y, height, board }) => {
    const { ledger, paint } = earlid;
    const colour = paint.colours();
    const scale = width / (t1 - t0);
    const muted = [];
    for (const [of, from, to] of ledger.mutes()) {
      if (!shown(of, board) || to < t0 || from > t1) continue;
      const left = Math.max(0, (from - t0) * scale);
      const right = Math.min(width, (to - t0) * scale);
      if (right - left >= 1) muted.push([left, right]);
    }
    if (muted.length) paint.hatch(ctx, muted, y, height, colour.muted);
    const [first, end] = ledger.openingsBetween(t0, t1);
    if (end - first <= FEW) drawEach(ctx, first, end, { t0, t1, scale, y, height, board });
    else drawBinned(ctx, { t0, t1, width, y, height, board });
  };

  const drawEach = (ctx, first, end, { t0, scale, y, height, board }) => {
    const { ledger, paint } = earlid;
    const colour = paint.colours();
    const { openings, code } = ledger;
    for (let i = first; i < end; i += 1) {
      if (!shown(openings.board[i], board) || ledger.endOf(i) < t0) continue;
      const left = (openings.t[i] - t0) * scale;
      const wide = Math.max(2, (ledger.endOf(i) - openings.t[i]) * scale);
      ctx.fillStyle = ledger.isOutside(i) ? colour.fault : openings.reason[i] === code.button ? colour.button : colour.word;
      ctx.beginPath();
      ctx.roundRect(left, y, wide, height, Math.min(3, wide / 2));
      ctx.fill();
      if (openings.label[i] === 0) {
        ctx.fillStyle = colour.false;
        ctx.fillRect(left, y + height - 6, wide, 6);
      }
      if (wide > 60) {
        ctx.fillStyle = colour["on-bar"];
        ctx.font = colour.bold;
        const lasts = ledger.isOpen(i) ? (ledger.isOutside(i) ? "LIVE, " : "open, ") : "";
        const text = lasts ? `${lasts}${earlid.durationText(ledger.endOf(i) - openings.t[i])}` : earlid.boundsText(openings.least[i], openings.most[i]);
        const at = Math.max(left, 0) + 7;
        if (ctx.measureText(text).width < left + wide - at - 4) ctx.fillText(text, at, y + height / 2 + 4);
      }
    }
  };

  // Sums: a bin's bar is the higher the longer the lid was open in it, on a logarithmic scale: seconds show beside hours.
  const drawBinned = (ctx, { t0, t1, width, y, height, board }) => {
    const { ledger, paint, derived } = earlid;
    const colour = paint.colours();
    const size = Math.ceil(width / BIN);
    const bin_ms = ((t1 - t0) / width) * BIN;
    const [word, button, notMeant] = ["word", "button", "wrong"].map((name) => buffer(name, size));
    for (const of of board < 0 ? ledger.boards.keys() : [board]) {
      const lives = derived.liveSpans()[of];
      const sums = [[lives.word, word], [lives.button, button], [derived.notMeantSums()[of], notMeant]];
      for (const [sum, into] of sums) addToBins(lives, sum, into, { t0, bin_ms, size });
    }
    for (const i of derived.open()) {
      if (!shown(ledger.openings.board[i], board)) continue;
      const from = Math.max(0, Math.floor((ledger.openings.t[i] - t0) / bin_ms));
      const to = Math.min(size - 1, Math.floor((ledger.endOf(i) - t0) / bin_ms));
      const into = ledger.openings.reason[i] === ledger.code.button ? button : word;
      for (let at = from; at <= to; at += 1) into[at] += bin_ms;
    }
    const steep = Math.max(1, bin_ms / 1000);
    const bars = (name, draw) => {
      ctx.fillStyle = colour[name];
      for (let at = 0; at < size; at += 1) {
        const total = word[at] + button[at];
        if (total < 0.5) continue; // what rounding leaves
        const share = Math.min(1, Math.log1p((steep * total) / bin_ms) / Math.log1p(steep));
        const high = Math.max(4, share * height);
        const [from, tall] = draw(high, (high * button[at]) / total, at);
        if (tall > 0.01) ctx.fillRect(at * BIN, y + height - from - tall, BIN, tall);
      }
    };
    bars("word", (high, low) => [low, high - low]);
    bars("button", (high, low) => [0, low]);
    bars("false", (high, low, at) => [0, notMeant[at] < 0.5 ? 0 : 4]);
  };

  // How much of a sum that runs along one board's openings falls into each bin.
  const addToBins = ({ size: openings, t, live }, sums, into, { t0, bin_ms, size }) => {
    let before = 0;
    for (let at = 0; at <= size; at += 1) {
      const edge = t0 + at * bin_ms;
      const begun = earlid.lowerBound(t, openings, edge);
      const last = begun - 1; // the part of it beyond the edge is not yet in
      const beyond = begun && sums[begun] > sums[last] ? Math.max(0, t[last] + live[last] - edge) : 0;
      const now = sums[begun] - beyond;
      if (at) into[at - 1] += now - before;
      before = now;
    }
  };

  // Every word's score: openings as dots, near misses as rings, and the cutoff between them as a line.
  lanes.scores = (ctx, { t0, t1, width, y, height, board }) => {
    const { ledger } = earlid;
    const lowest = lanes.lowestScore();
    const up = (score) => y + height - 6 - ((Math.max(score, lowest) - lowest) / (255 - lowest)) * (height - 12);
    const place = { t0, t1, scale: width / (t1 - t0), up, width };
    const seen = [["near", earlid.derived.near(board)], ["word", earlid.derived.word(board)]].map(([name, rows]) => (
      { name, rows, first: earlid.lowerBound(rows.t, rows.t.length, t0), end: earlid.lowerBound(rows.t, rows.t.length, t1) }
    ));
    cutoffs(ctx, board, place);
    if (seen.reduce((sum, { first, end }) => sum + end - first, 0) > 3 * FEW) drawDensity(ctx, seen, { ...place, height, y });
    else for (const kind of seen) drawDots(ctx, kind, place);
  };

  let lowest = { records: -1, score: 0 };
  lanes.lowestScore = () => {
    const { ledger } = earlid;
    if (lowest.records !== ledger.recordsVersion) {
      let score = 250;
      for (const { score: scores } of [earlid.derived.word(-1), earlid.derived.near(-1)]) {
        for (const value of scores) if (value > 0 && value < score) score = value;
      }
      lowest = { records: ledger.recordsVersion, score: Math.max(0, Math.floor((score - 8) / 10) * 10) };
    }
    return lowest.score;
  };

  const drawDots = (ctx, { name, rows, first, end }, { t0, scale, up }) => {
    const colour = earlid.paint.colours();
    ctx.lineWidth = 1.6;
    for (let i = first; i < end; i += 1) {
      const x = (rows.t[i] - t0) * scale;
      const high = up(rows.score[i]);
      ctx.strokeStyle = ctx.fillStyle = colour[name];
      if (rows.table.label[rows.rows[i]] === 0) {
        ctx.strokeStyle = colour.false;
        ctx.lineWidth = 2.2;
        earlid.paint.cross(ctx, x, high, 4);
        ctx.lineWidth = 1.6;
        continue;
      }
      ctx.beginPath();
      ctx.arc(x, high, name === "near" ? 3.2 : 4, 0, 7);
      if (name === "near") ctx.stroke();
      else ctx.fill();
    }
  };

  // Many dots as a small picture, one of its pixels for BIN by BIN of ours: painting each by itself would take too long.
  const picture = document.createElement("canvas");
  const drawDensity = (ctx, seen, { width, height, y, t0, scale, up }) => {
    const across = Math.ceil(width / BIN);
    const down = Math.ceil(height / BIN);
    const pixels = new ImageData(across, down);
    const words = new Uint32Array(pixels.data.buffer);
    for (const { name, rows: { t, score }, first, end } of seen) {
      const counts = buffer("counts", across * down);
      const lines = Array.from({ length: 256 }, (_, value) => Math.floor((up(value) - y) / BIN) * across);
      let most = 1;
      for (let i = first; i < end; i += 1) {
        const at = lines[score[i]] + Math.floor(((t[i] - t0) * scale) / BIN);
        counts[at] += 1;
        if (counts[at] > most) most = counts[at];
      }
      const [red, green, blue] = earlid.paint.rgb(name);
      for (let at = 0; at < across * down; at += 1) {
        if (!counts[at]) continue;
        const alpha = Math.round(90 + 165 * (Math.log1p(counts[at]) / Math.log1p(most)));
        words[at] = (alpha << 24) | (blue << 16) | (green << 8) | red;
      }
    }
    picture.width = across;
    picture.height = down;
    picture.getContext("2d").putImageData(pixels, 0, 0);
    ctx.imageSmoothingEnabled = false;
    ctx.drawImage(picture, 0, y, across * BIN, down * BIN);
  };

  // The cutoff of each board as steps; before the first that is known, as that.
  const cutoffs = (ctx, board, { t0, t1, scale, up, width }) => {
    const { ledger, paint, derived } = earlid;
    ctx.strokeStyle = paint.colours().ink;
    ctx.lineWidth = 1.25;
    ctx.setLineDash([5, 4]);
    for (const of of board < 0 ? ledger.boards.keys() : [board]) {
      const changes = derived.cutoffs()[of].filter(([from]) => from < t1);
      const known = changes.findLast(([from]) => from <= t0) ?? changes[0];
      if (!known) continue;
      let height = up(known[1]);
      ctx.beginPath();
      ctx.moveTo(0, height);
      for (const [from, value] of changes) {
        if (from <= t0) continue;
        ctx.lineTo((from - t0) * scale, height);
        height = up(value);
        ctx.lineTo((from - t0) * scale, height);
      }
      ctx.lineTo(width, height);
      ctx.stroke();
    }
    ctx.setLineDash([]);
  };

  const SHAPES = { fault: "fault", lost: "fault", boot: "boot", config: "soft", clock: "soft", maintenance: "soft", selftest: "soft", limited: "soft" };
  lanes.isMark = (event) => earlid.ledger.nameOf(event) in SHAPES;

  // Starts, faults and changes; of one kind no more than one in six pixels.
  lanes.marks = (ctx, { t0, t1, width, y, height, board }) => {
    const colour = earlid.paint.colours();
    const kinds = earlid.ledger.header.names.map((name) => SHAPES[name]);
    const { t, event } = earlid.derived.marks(board);
    const taken = new Map();
    const middle = y + height / 2;
    for (let i = earlid.lowerBound(t, t.length, t0); i < t.length && t[i] < t1; i += 1) {
      const kind = kinds[event[i]];
      const x = ((t[i] - t0) / (t1 - t0)) * width;
      if (x - (taken.get(kind) ?? -10) < 6) continue;
      taken.set(kind, x);
      ctx.fillStyle = ctx.strokeStyle = colour[kind];
      ctx.beginPath();
      if (kind === "fault") {
        ctx.moveTo(x, middle - 7);
        ctx.lineTo(x + 7, middle + 6);
        ctx.lineTo(x - 7, middle + 6);
      } else if (kind === "boot") ctx.rect(x - 1.5, middle - 7, 3, 14);
      else ctx.arc(x, middle, 2.5, 0, 7);
      ctx.fill();
    }
  };

  earlid.lanes = lanes;
}
