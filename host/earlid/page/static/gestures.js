// SPDX-License-Identifier: MIT
// Moving the timeline: by mouse, fingers, keys and buttons; and what is said about a record that is pointed at.
{
  const { $, el } = earlid;
  const pointers = new Map();
  let moved = 0;
  let pinch = 0;

  // A record in words, one line each; the first is what happened.
  const describe = (item) => {
    const { ledger, zone } = earlid;
    const table = item.kind === "opening" ? ledger.openings : ledger.points;
    const i = table.find(item.board, item.boot, item.seq);
    if (i < 0) return [];
    const when = `${zone.dateText(table.t[i])}, ${zone.timeText(table.t[i])} ${earlid.uncertaintyText(table.unc[i])}`.trim();
    const label = { 1: "meant", 0: "not meant" }[table.label[i]];
    const record = [`Record ${table.seq[i]}`, ledger.boards.length > 1 ? ledger.titleOf(table.board[i]) : null, label && `labelled ${label}`];
    const last = record.filter(Boolean).join(" · ");
    if (item.kind === "opening") {
      const why = ledger.nameOf(table.reason[i]);
      const long = ledger.isOpen(i) ? "its end is not recorded yet" : `live ${earlid.boundsText(table.least[i], table.most[i])}`;
      const ended = ledger.isOpen(i) ? "" : `, ended: ${ledger.nameOf(table.ended[i])}`;
      if (ledger.isOutside(i)) return [`LIVE with the lid closed${why ? ` (${why})` : ""}: ${long}${ended}`, when, last];
      const score = why === "word" ? `Score ${earlid.scoreText(table.score[i], table.cutoff[i], table.flags[i])}` : null;
      const signs = table.label[i] < 0 && table.doubt[i] >= ledger.header.check ? `Doubtful: ${earlid.check.signsOf(i)}` : null;
      return [`Opened${why ? ` by the ${why}` : ""}: ${long}${ended}`, when, score, signs, last].filter(Boolean);
    }
    const event = ledger.nameOf(table.event[i]);
    if (event === "near-miss") return [`Near miss: the lid stayed closed${ledger.whyOf(i) === "refractory" ? ", so soon after the last word" : ""}`, when, `Score ${earlid.scoreText(table.score[i], table.b[i], table.flags[i])}`, last];
    return [`${event}${ledger.whyOf(i) ? `: ${ledger.whyOf(i)}` : ""}`, when, last];
  };

  const showTooltip = (item, more, x, y) => {
    const box = $("tip");
    const lines = item ? describe(item) : [];
    box.hidden = !lines.length;
    if (!lines.length) return;
    const [first, ...rest] = lines;
    if (more) rest.push(`and ${earlid.countText(more, "other")} here: zoom in`);
    box.replaceChildren(el("strong", {}, first), ...rest.map((text) => el("span", {}, text)));
    const room = $("lanes").clientWidth;
    box.style.left = 0; // else its width is measured as what was left beside its last place
    box.style.left = `${earlid.clamp(x - box.offsetWidth / 2, 0, Math.max(0, room - box.offsetWidth))}px`;
    box.style.top = `${y + 18}px`;
  };

  // What is chosen, in words below the timeline, with its label; and said.
  const HINT = "Choose an opening, in the timeline or in the table: what is known of it stands here.";
  const details = () => {
    const item = earlid.view.selected;
    const lines = item ? describe(item) : [];
    const key = [...lines, item?.board, item?.boot, item?.seq].join();
    if ($("details").dataset.key === key) return;
    $("details").dataset.key = key;
    const [first, ...rest] = lines;
    const buttons = lines.length && earlid.ledger.live && earlid.check.buttons(item);
    $("details").replaceChildren(...(lines.length ? [el("strong", {}, first), ...rest.map((text) => el("span", {}, text)), buttons || ""] : [HINT]));
  };

  const select = (item) => {
    earlid.view.select(item);
    details();
    if (item) earlid.announce(describe(item).join(". "));
  };

  const position = (event) => {
    const box = $("lanes").getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  const pinchDistance = () => {
    const [one, other] = [...pointers.values()];
    return Math.max(10, Math.abs(one[0] - other[0]));
  };

  const onMove = (event) => {
    const [x, y] = position(event);
    const { view, timeline } = earlid;
    if (!pointers.has(event.pointerId)) {
      const found = timeline.hitTest(x, y);
      showTooltip(found?.[0], found?.[1], x, y);
      return;
    }
    const before = pointers.get(event.pointerId);
    pointers.set(event.pointerId, [x, y]);
    moved += Math.abs(x - before[0]) + Math.abs(y - before[1]);
    if (pointers.size === 2) {
      const now = pinchDistance();
      const [one, other] = [...pointers.values()];
      view.zoom(pinch / now, timeline.timeAt((one[0] + other[0]) / 2));
      pinch = now;
    } else if (moved > 4) {
      showTooltip(null);
      view.pan((before[0] - x) / timeline.width);
    }
  };

  const onUp = (event) => {
    const [x, y] = position(event);
    if (pointers.delete(event.pointerId) && moved <= 4 && event.type === "pointerup") {
      const found = earlid.timeline.hitTest(x, y);
      select(found ? found[0] : null);
      showTooltip(found?.[0], found?.[1], x, y);
    }
    if (!pointers.size) moved = 0;
  };

  const onWheel = (event) => {
    const { view, timeline } = earlid;
    const zooms = event.ctrlKey || event.metaKey;
    const sideways = event.shiftKey ? event.deltaY : event.deltaX;
    if (!zooms && Math.abs(sideways) <= Math.abs(event.shiftKey ? 0 : event.deltaY)) return; // the page scrolls
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 16 : 1;
    if (zooms) view.zoom(Math.exp(earlid.clamp(event.deltaY * unit, -300, 300) * 0.004), timeline.timeAt(position(event)[0]));
    else view.pan((sideways * unit) / timeline.width);
  };

  const stepTo = (forth) => {
    const item = earlid.timeline.nextOpening(forth);
    if (item) select(item);
    else earlid.announce(forth ? "No later opening." : "No earlier opening.");
  };

  const goToEnd = (last) => {
    const { view, ledger } = earlid;
    const span = view.t1 - view.t0;
    const [low, high] = ledger.bounds();
    if (last) view.set(high - span * 0.97, high + span * 0.03);
    else view.set(low - span * 0.03, low + span * 0.97);
  };

  // What is chosen comes to the middle: at an edge, half of it would stay out of sight.
  const zoom = (factor) => {
    const { view } = earlid;
    const half = ((view.t1 - view.t0) * factor) / 2;
    if (view.selected) view.set(view.selected.t - half, view.selected.t + half);
    else view.zoom(factor);
  };

  const KEY_ACTIONS = {
    ArrowLeft: () => earlid.view.pan(-0.2),
    ArrowRight: () => earlid.view.pan(0.2),
    PageUp: () => earlid.view.pan(-0.9),
    PageDown: () => earlid.view.pan(0.9),
    "+": () => zoom(0.5),
    "=": () => zoom(0.5),
    "-": () => zoom(2),
    Home: () => goToEnd(false),
    End: () => goToEnd(true),
    n: () => stepTo(true),
    p: () => stepTo(false),
    Escape: () => select(null),
  };

  const BUTTON_ACTIONS = {
    earlier: () => earlid.view.pan(-0.5),
    later: () => earlid.view.pan(0.5),
    in: () => zoom(0.5),
    out: () => zoom(2),
    next: () => stepTo(true),
    previous: () => stepTo(false),
  };

  const dragOverview = (event) => {
    if (!event.buttons && event.type !== "pointerdown") return;
    const { view, timeline } = earlid;
    const box = $("overview").getBoundingClientRect();
    const [low, high] = timeline.extent();
    const at = low + ((event.clientX - box.left) / box.width) * (high - low);
    const half = (view.t1 - view.t0) / 2;
    view.set(at - half, at + half);
  };

  const start = () => {
    const canvas = $("lanes");
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      pointers.set(event.pointerId, position(event));
      canvas.setPointerCapture(event.pointerId);
      moved = 0;
      if (pointers.size === 2) pinch = pinchDistance();
    });
    canvas.addEventListener("pointermove", onMove);
    for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, onUp);
    canvas.addEventListener("pointerleave", () => showTooltip(null));
    canvas.addEventListener("wheel", onWheel, { passive: false });
    canvas.addEventListener("dblclick", (event) => earlid.view.zoom(0.25, earlid.timeline.timeAt(position(event)[0])));
    canvas.addEventListener("keydown", (event) => {
      const act = KEY_ACTIONS[event.key] || KEY_ACTIONS[event.key.toLowerCase()];
      if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      act();
    });
    for (const kind of ["pointerdown", "pointermove"]) $("overview").addEventListener(kind, dragOverview);
    $("timeline").querySelector(".tools").addEventListener("click", (event) => {
      const { do: action, span } = event.target.dataset;
      if (action) BUTTON_ACTIONS[action]();
      if (span) earlid.view.showSpan(span === "all" ? span : Number(span));
    });
  };

  earlid.gestures = { start, describe, details };
}
