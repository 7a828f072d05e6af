// SPDX-License-Identifier: MIT
// The view: a range of time, a board, one selected record; and listeners to its changes.
{
  const SHORTEST_MS = 1000;
  const YEAR_MS = 366 * 864e5;
  const frameListeners = [];
  const settledListeners = [];
  let scheduled = false;
  const settle = earlid.debounce(140, () => settledListeners.forEach((listener) => listener()));

  const view = { t0: 0, t1: 1, board: -1, selected: null, followsNewest: false };

  // At once: what moves with the fingers. After a rest: tables and words.
  view.onFrame = (listener) => frameListeners.push(listener);
  view.onSettled = (listener) => settledListeners.push(listener);
  view.changed = () => {
    settle();
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => {
      scheduled = false;
      frameListeners.forEach((listener) => listener());
    });
  };

  view.limits = () => {
    const [low, high] = earlid.ledger.bounds();
    const room = Math.max((high - low) * 0.02, YEAR_MS - (high - low), 0) + 864e5;
    return [low - room, high + Math.min(room, 31 * 864e5)];
  };

  view.set = (t0, t1) => {
    const [low, high] = view.limits();
    const span = earlid.clamp(t1 - t0, SHORTEST_MS, high - low);
    const middle = (t0 + t1) / 2;
    view.t0 = Math.round(earlid.clamp(middle - span / 2, low, high - span));
    view.t1 = Math.round(view.t0 + span);
    view.followsNewest = earlid.ledger.live && view.t1 >= earlid.ledger.now();
    view.changed();
  };

  view.zoom = (factor, at = (view.t0 + view.t1) / 2) => {
    const span = Math.max(SHORTEST_MS, (view.t1 - view.t0) * factor);
    const share = (at - view.t0) / (view.t1 - view.t0);
    view.set(at - share * span, at + (1 - share) * span);
  };

  view.pan = (share) => {
    const step = (view.t1 - view.t0) * share;
    view.set(view.t0 + step, view.t1 + step);
  };

  view.showDays = (day, days = 1) => view.set(earlid.zone.dayStart(day), earlid.zone.dayStart(day + days));

  // A span around what is chosen, else up to the newest where that is in sight, else around the middle of what is
  // shown; days and weeks from midnight to midnight.
  view.showSpan = (ms) => {
    const { zone, ledger } = earlid;
    const [low, high] = ledger.bounds();
    if (ms === "all") {
      view.showDays(zone.dayNumber(low), zone.dayNumber(high) - zone.dayNumber(low) + 1);
      return;
    }
    const newest = !view.selected && view.t0 <= high && view.t1 >= high;
    const middle = view.selected ? view.selected.t : newest ? high : earlid.clamp((view.t0 + view.t1) / 2, low, high);
    const days = ms / 864e5;
    if (days >= 1) view.showDays(zone.dayNumber(middle) - (newest ? days - 1 : Math.floor(days / 2)), days);
    else view.set(middle - ms * (newest ? 0.9 : 0.5), middle + ms * (newest ? 0.1 : 0.5));
  };

  view.select = (item) => {
    view.selected = item;
    if (item && (item.t < view.t0 || item.t > view.t1)) {
      const half = (view.t1 - view.t0) / 2;
      view.set(item.t - half, item.t + half);
    }
    view.changed();
  };

  view.start = () => {
    const { zone, ledger } = earlid;
    const [low, high] = ledger.bounds();
    const last = zone.dayNumber(high);
    const days = earlid.clamp(last - zone.dayNumber(low) + 1, 1, 7);
    view.showDays(last - days + 1, days);
  };

  earlid.view = view;
}
