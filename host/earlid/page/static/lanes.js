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
    const { story, paint } = earlid;
    const colour = paint.colours();
    const scale = width / (t1 - t0);
    const muted = [];
    for (const [of, from, to] of story.mutes()) {
      if (!shown(of, board) || to < t0 || from > t1) continue;
      const left = Math.max(0, (from - t0) * scale);
      const right = Math.min(width, (to - t0) * scale);
      if (right - left >= 1) muted.push([left, right]);
    }
    if (muted.length) paint.hatch(ctx, muted, y, height, colour.muted);
    const [first, end] = story.openingsIn(t0, t1);
    if (end - first <= FEW) each(ctx, first, end, { t0, t1, scale, y, height, board });
    else summed(ctx, first, end, { t0, t1, width, y, height, board });
  };

  const each = (ctx, first, end, { t0, scale, y, height, board }) => {
    const { story, paint } = earlid;
    const colour = paint.colours();
    const { openings, code } = story;
    for (let i = first; i < end; i += 1) {
      if (!shown(openings.board[i], board) || story.end(i) < t0) continue;
      const left = (openings.t[i] - t0) * scale;
      const wide = Math.max(2, (story.end(i) - openings.t[i]) * scale);
      ctx.fillStyle = openings.reason[i] === code.button ? colour.button : colour.word;
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
        const text = `${story.isOpen(i) ? "open, " : ""}${earlid.span(story.end(i) - openings.t[i])}`;
        const at = Math.max(left, 0) + 7;
        if (ctx.measureText(text).width < left + wide - at - 4) ctx.fillText(text, at, y + height / 2 + 4);
      }
    }
  };

  // Sums: a bin's bar is the higher the longer the lid was open in it, on a logarithmic scale: seconds show beside hours.
  const summed = (ctx, first, end, { t0, t1, width, y, height, board }) => {
    const { story, paint } = earlid;
    const colour = paint.colours();
    const { openings, code } = story;
    const { t, board: boards, reason, label, live } = openings;
    const size = Math.ceil(width / BIN);
    const bin_ms = ((t1 - t0) / width) * BIN;
    const [word, button, wrong] = ["word", "button", "wrong"].map((name) => buffer(name, size));
    for (let i = first; i < end; i += 1) {
      if (!shown(boards[i], board)) continue;
      const stop = live[i] >= 0 ? t[i] + live[i] : story.end(i); // not all through end(): this runs for every pixel dragged
      if (stop < t0) continue;
      const into = reason[i] === code.button ? button : word;
      const from = Math.max(0, Math.floor((t[i] - t0) / bin_ms));
      const to = Math.min(size - 1, Math.floor((stop - t0) / bin_ms));
      for (let at = from; at <= to; at += 1) {
        const low = Math.max(t[i], t0 + at * bin_ms);
        into[at] += Math.max(1, Math.min(stop, t0 + (at + 1) * bin_ms) - low);
        if (label[i] === 0) wrong[at] += 1;
      }
    }
    const steep = Math.max(1, bin_ms / 1000);
    for (let at = 0; at < size; at += 1) {
      const total = word[at] + button[at];
      if (!total) continue;
      const share = Math.min(1, Math.log1p((steep * total) / bin_ms) / Math.log1p(steep));
      const high = Math.max(4, share * height);
      const low = (high * button[at]) / total;
      ctx.fillStyle = colour.word;
      ctx.fillRect(at * BIN, y + height - high, BIN, high - low);
      ctx.fillStyle = colour.button;
      ctx.fillRect(at * BIN, y + height - low, BIN, low);
      if (wrong[at]) {
        ctx.fillStyle = colour.false;
        ctx.fillRect(at * BIN, y + height - 4, BIN, 4);
      }
    }
  };

  // Every word's score: openings as dots, near misses as rings, and the cutoff between them as a line.
  lanes.scores = (ctx, { t0, t1, width, y, height, board }) => {
    const { story } = earlid;
    const lowest = lanes.lowestScore();
    const up = (score) => y + height - 6 - ((Math.max(score, lowest) - lowest) / (255 - lowest)) * (height - 12);
    const place = { t0, scale: width / (t1 - t0), up, board };
    const [a, b] = story.openingsIn(t0, t1);
    const [c, d] = story.pointsIn(t0, t1);
    cutoffs(ctx, width, { ...place, t1 });
    if (b - a + d - c <= 3 * FEW) {
      dots(ctx, c, d, { ...place, near: true });
      dots(ctx, a, b, { ...place, near: false });
    } else {
      cloud(ctx, [[true, c, d], [false, a, b]], { ...place, width, height, y });
    }
  };

  let lowest = { version: -1, score: 0 };
  lanes.lowestScore = () => {
    const { story } = earlid;
    if (lowest.version !== story.version) {
      let score = 250;
      const see = (value) => {
        if (value > 0 && value < score) score = value;
      };
      const { openings, points, code } = story;
      for (let i = 0; i < openings.rows; i += 1) if (openings.reason[i] === code.word) see(openings.score[i]);
      for (let i = 0; i < points.rows; i += 1) if (points.event[i] === code["near-miss"]) see(points.score[i]);
      lowest = { version: story.version, score: Math.max(0, Math.floor((score - 8) / 10) * 10) };
    }
    return lowest.score;
  };

  // Which rows have a score: near misses, or openings by the word.
  const scored = (near) => {
    const { openings, points, code } = earlid.story;
    const kinds = near ? points.event : openings.reason;
    const kind = near ? code["near-miss"] : code.word;
    return (i) => kinds[i] === kind;
  };

  const dots = (ctx, first, end, { t0, scale, up, board, near }) => {
    const colour = earlid.paint.colours();
    const table = near ? earlid.story.points : earlid.story.openings;
    const fits = scored(near);
    ctx.lineWidth = 1.6;
    for (let i = first; i < end; i += 1) {
      if (!shown(table.board[i], board) || !fits(i) || table.t[i] < t0) continue;
      const x = (table.t[i] - t0) * scale;
      const high = up(table.score[i]);
      ctx.strokeStyle = ctx.fillStyle = near ? colour.near : colour.word;
      if (table.label[i] === 0) {
        ctx.strokeStyle = colour.false;
        ctx.lineWidth = 2.2;
        earlid.paint.cross(ctx, x, high, 4);
        ctx.lineWidth = 1.6;
        continue;
      }
      ctx.beginPath();
      ctx.arc(x, high, near ? 3.2 : 4, 0, 7);
      if (near) ctx.stroke();
      else ctx.fill();
    }
  };

  // Many dots as a small picture, one of its pixels for BIN by BIN of ours: painting each by itself would take too long.
  const picture = document.createElement("canvas");
  const cloud = (ctx, ranges, { width, height, y, t0, scale, up, board }) => {
    const across = Math.ceil(width / BIN);
    const down = Math.ceil(height / BIN);
    const pixels = new ImageData(across, down);
    const words = new Uint32Array(pixels.data.buffer);
    for (const [near, first, end] of ranges) {
      const table = near ? earlid.story.points : earlid.story.openings;
      const { t, board: boards, score } = table;
      const counts = buffer("counts", across * down);
      const rows = Array.from({ length: 256 }, (_, value) => Math.floor((up(value) - y) / BIN) * across);
      const fits = scored(near);
      let most = 1;
      for (let i = first; i < end; i += 1) {
        if (!shown(boards[i], board) || !fits(i) || t[i] < t0) continue;
        const at = rows[score[i]] + Math.floor(((t[i] - t0) * scale) / BIN);
        counts[at] += 1;
        if (counts[at] > most) most = counts[at];
      }
      const [red, green, blue] = earlid.paint.rgb(near ? "near" : "word");
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

  // The cutoff of each board as steps, from what its openings and near misses say it was.
  const cutoffs = (ctx, width, { t0, t1, scale, up, board }) => {
    const { story, paint } = earlid;
    const { openings, points, code } = story;
    const bins = story.boards.map((_, number) => (shown(number, board) ? new Uint16Array(Math.ceil(width)) : null));
    const gather = (table, values, first, fits) => {
      const { t, board: boards } = table;
      const end = table.lower(t1);
      for (let i = Math.max(0, first - 200); i < end; i += 1) {
        const row = bins[boards[i]];
        if (row && values[i] && fits(i)) row[Math.max(0, Math.floor((t[i] - t0) * scale))] = values[i];
      }
    };
    gather(openings, openings.cutoff, openings.lower(t0), () => true);
    const events = points.event;
    const miss = code["near-miss"];
    gather(points, points.b, points.lower(t0), (i) => events[i] === miss);
    ctx.strokeStyle = paint.colours().ink;
    ctx.lineWidth = 1.25;
    ctx.setLineDash([5, 4]);
    for (const row of bins) {
      if (!row) continue;
      let height = 0;
      ctx.beginPath();
      for (let at = 0; at < width; at += 1) {
        if (!row[at] || row[at] === height) continue;
        if (height) ctx.lineTo(at, up(height));
        else ctx.moveTo(0, up(row[at]));
        height = row[at];
        ctx.lineTo(at, up(height));
      }
      if (height) ctx.lineTo(width, up(height));
      ctx.stroke();
    }
    ctx.setLineDash([]);
  };

  const SHAPES = { fault: "fault", lost: "fault", boot: "boot", config: "soft", clock: "soft", maintenance: "soft", selftest: "soft" };
  lanes.isMark = (event) => earlid.story.name(event) in SHAPES;

  // Starts, faults and changes; of one kind no more than one in six pixels.
  lanes.marks = (ctx, { t0, t1, width, y, height, board }) => {
    const { story, paint } = earlid;
    const colour = paint.colours();
    const kinds = story.header.names.map((name) => SHAPES[name]);
    const taken = new Map();
    const [first, end] = story.pointsIn(t0, t1);
    const middle = y + height / 2;
    for (let i = first; i < end; i += 1) {
      const kind = kinds[story.points.event[i]];
      if (!kind || !shown(story.points.board[i], board)) continue;
      const x = ((story.points.t[i] - t0) / (t1 - t0)) * width;
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
