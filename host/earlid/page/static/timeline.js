// SPDX-License-Identifier: MIT
// The timeline: its lanes on one canvas, the whole of time on a strip below it, and what lies under a pointer.
{
  const AXIS = 24;
  const AXIS_WITH_HOURS = 40;
  const SCORES = 104;
  const MARKS = 26;
  const GAP = 10;
  const OVERVIEW = 34;
  const MOST_BOARDS = 6; // more of them share a lane
  const timeline = { width: 1 };
  let layout = [];
  let top = AXIS;

  const layOut = () => {
    const { ledger, view } = earlid;
    const apart = view.board < 0 && ledger.boards.length > 1 && ledger.boards.length <= MOST_BOARDS;
    const high = apart ? 40 : 64;
    layout = [];
    let y = top;
    const add = (kind, height, title, board) => {
      layout.push({ kind, y: y + 16, height, title, board });
      y += 16 + height + GAP;
    };
    const only = view.board >= 0 || ledger.boards.length === 1;
    if (apart) ledger.boards.forEach((_, number) => add("live", high, `Live: ${ledger.titleOf(number)}`, number));
    else add("live", high, only ? "Live" : "Live: all boards", view.board);
    add("scores", SCORES, "Scores of the word, and the cutoff", view.board);
    add("marks", MARKS, "Starts, faults, changes", view.board);
    return y;
  };

  timeline.draw = () => {
    const { paint, view, ledger } = earlid;
    if (!ledger.loaded) return;
    const canvas = earlid.$("lanes");
    if (!canvas.clientWidth) return; // an empty ledger shows none
    const { t0, t1 } = view;
    const axis = paint.axis(t0, t1, canvas.clientWidth);
    top = axis.ticks.length ? AXIS_WITH_HOURS : AXIS;
    const height = layOut();
    const [ctx, width] = paint.fit(canvas, height);
    const colour = paint.colours();
    timeline.width = width;
    paint.drawAxis(ctx, axis, { t0, t1, width, top, bottom: height });
    for (const lane of layout) {
      ctx.font = colour.font;
      ctx.fillStyle = colour.soft;
      ctx.fillText(lane.title, 2, lane.y - 5);
      ctx.strokeStyle = colour.line;
      ctx.lineWidth = 1;
      ctx.strokeRect(-1, lane.y - 0.5, width + 2, lane.height + 1);
      ctx.save();
      ctx.beginPath();
      ctx.rect(0, lane.y, width, lane.height);
      ctx.clip();
      earlid.lanes[lane.kind](ctx, { t0, t1, width, y: lane.y, height: lane.height, board: lane.board });
      ctx.restore();
    }
    const x = (ms) => ((ms - t0) / (t1 - t0)) * width;
    if (ledger.live && ledger.now() > t0 && ledger.now() < t1) line(ctx, x(ledger.now()), top, height, colour.fault, [2, 3]);
    if (view.selected && view.selected.t >= t0 && view.selected.t <= t1) line(ctx, x(view.selected.t), top, height, colour.focus, []);
    overview(paint, view, colour);
  };

  const line = (ctx, x, top, bottom, colour, dash) => {
    ctx.strokeStyle = colour;
    ctx.lineWidth = 1.5;
    ctx.setLineDash(dash);
    ctx.beginPath();
    ctx.moveTo(x, top);
    ctx.lineTo(x, bottom);
    ctx.stroke();
    ctx.setLineDash([]);
  };

  // The strip changes with the data only; a copy of it serves while the view moves.
  const copy = document.createElement("canvas");
  let copiedState = "";
  timeline.extent = () => {
    const [low, high] = earlid.ledger.bounds();
    const room = Math.max(6e4, (high - low) * 0.01);
    return [low - room, high + room];
  };

  const overview = (paint, view, colour) => {
    const canvas = earlid.$("overview");
    if (!canvas.clientWidth) return;
    const [ctx, width] = paint.fit(canvas, OVERVIEW);
    const [low, high] = timeline.extent();
    const state = [earlid.ledger.version, width, view.board, canvas.width, colour.ink, Math.round(low / 6e4), Math.round(high / 6e4)].join();
    const place = { t0: low, t1: high, width, y: 4, height: OVERVIEW - 8, board: view.board };
    if (state !== copiedState) {
      earlid.lanes.live(ctx, place);
      copy.width = canvas.width;
      copy.height = canvas.height;
      copy.getContext("2d").drawImage(canvas, 0, 0);
      copiedState = state;
    } else {
      ctx.drawImage(copy, 0, 0, width, OVERVIEW);
    }
    const left = earlid.clamp(((view.t0 - low) / (high - low)) * width, 0, width - 4);
    const right = earlid.clamp(((view.t1 - low) / (high - low)) * width, left + 4, width);
    ctx.fillStyle = colour.ground;
    ctx.globalAlpha = 0.72;
    ctx.fillRect(0, 0, left, OVERVIEW);
    ctx.fillRect(right, 0, width - right, OVERVIEW);
    ctx.globalAlpha = 1;
    ctx.strokeStyle = colour.focus;
    ctx.lineWidth = 2;
    ctx.strokeRect(left + 1, 1, right - left - 2, OVERVIEW - 2);
  };

  timeline.timeAt = (x) => earlid.view.t0 + (x / timeline.width) * (earlid.view.t1 - earlid.view.t0);

  // A record as the rest of the page names it.
  timeline.itemOf = (kind, i) => {
    const table = kind === "opening" ? earlid.ledger.openings : earlid.ledger.points;
    return { kind, board: table.board[i], boot: table.boot[i], seq: table.seq[i], t: table.t[i] };
  };

  // What lies under a place of the canvas: [the nearest, how many more lie as near].
  timeline.hitTest = (x, y) => {
    const { ledger, view } = earlid;
    const lane = layout.find((item) => y >= item.y - 16 && y <= item.y + item.height + GAP);
    if (!lane) return null;
    const px_ms = (view.t1 - view.t0) / timeline.width;
    const at = timeline.timeAt(x);
    const reach = 8 * px_ms;
    let best = null;
    let near = 9;
    let more = -1;
    const consider = (kind, i, away) => {
      if (away < 8) more += 1;
      if (away < near) [best, near] = [[kind, i], away];
    };
    const lowest = earlid.lanes.lowestScore();
    const up = (score) => lane.y + lane.height - 6 - ((Math.max(score, lowest) - lowest) / (255 - lowest)) * (lane.height - 12);
    const fits = (table, i) => lane.board < 0 || table.board[i] === lane.board;
    if (lane.kind !== "marks") {
      const [first, end] = ledger.openingsBetween(at - reach, at + reach);
      for (let i = first; i < end; i += 1) {
        if (!fits(ledger.openings, i)) continue;
        const from = (ledger.openings.t[i] - at) / px_ms;
        const to = (at - ledger.endOf(i)) / px_ms;
        const across = lane.kind === "live" ? Math.max(0, from, to) : Math.abs(from);
        if (lane.kind === "live") consider("opening", i, across);
        else if (ledger.openings.reason[i] === ledger.code.word) consider("opening", i, Math.hypot(across, up(ledger.openings.score[i]) - y));
      }
    }
    if (lane.kind !== "live") {
      const [first, end] = ledger.pointsBetween(at - reach, at + reach);
      for (let i = first; i < end; i += 1) {
        const miss = ledger.points.event[i] === ledger.code["near-miss"];
        if (!fits(ledger.points, i) || miss !== (lane.kind === "scores")) continue;
        if (!miss && !earlid.lanes.isMark(ledger.points.event[i])) continue;
        const across = Math.abs(ledger.points.t[i] - at) / px_ms;
        consider("point", i, miss ? Math.hypot(across, up(ledger.points.score[i]) - y) : across);
      }
    }
    return best && [timeline.itemOf(...best), Math.max(0, more)];
  };

  // The next or previous opening after what is chosen, or in the middle.
  timeline.nextOpening = (forth) => {
    const { ledger, view } = earlid;
    const { openings } = ledger;
    const from = view.selected ? view.selected.t : forth ? view.t0 : view.t1;
    const fits = (i) => (view.board < 0 || openings.board[i] === view.board);
    let i = forth ? openings.lowerBound(from + (view.selected ? 1 : 0)) : openings.lowerBound(from) - 1;
    while (i >= 0 && i < openings.rows && !fits(i)) i += forth ? 1 : -1;
    return i >= 0 && i < openings.rows ? timeline.itemOf("opening", i) : null;
  };

  earlid.timeline = timeline;
}
