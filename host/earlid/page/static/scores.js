// SPDX-License-Identifier: MIT
// How the gate's scores lie about the cutoff, in the time shown: openings by the word, and what fell short.
{
  const STEP = 3;
  const HEIGHT = 168;
  const TOP = 22;
  const BOTTOM = 20;

  const gather = () => {
    const { derived, view } = earlid;
    const size = Math.ceil(256 / STEP);
    const [meant, wrong, near] = [0, 1, 2].map(() => new Uint32Array(size));
    const cutoffs = new Map();
    const addScores = ({ table, rows, t, score, cutoff }, into, unmeant) => {
      const end = earlid.lowerBound(t, t.length, view.t1);
      let same = 0;
      for (let i = earlid.lowerBound(t, t.length, view.t0); i < end; i += 1) {
        (table.label[rows[i]] === 0 ? unmeant : into)[Math.floor(score[i] / STEP)] += 1;
        same += 1;
        if (i + 1 < end && cutoff[i + 1] === cutoff[i]) continue;
        cutoffs.set(cutoff[i], (cutoffs.get(cutoff[i]) ?? 0) + same);
        same = 0;
      }
    };
    addScores(derived.word(view.board), meant, wrong);
    addScores(derived.near(view.board), near, near);
    return { meant, wrong, near, cutoffs: [...cutoffs].sort((a, b) => b[1] - a[1]).map((pair) => pair[0]) };
  };

  const sum = (counts) => counts.reduce((a, b) => a + b, 0);

  const draw = () => {
    const { ledger, paint, view } = earlid;
    if (!ledger.loaded) return;
    const found = gather();
    const { meant, wrong, near, cutoffs } = found;
    const [ctx, width] = paint.fit(earlid.$("scores"), HEIGHT);
    const colour = paint.colours();
    const lowest = Math.floor(earlid.lanes.lowestScore() / STEP);
    const size = meant.length - lowest;
    const wide = width / size;
    let most = 1;
    for (let i = lowest; i < meant.length; i += 1) most = Math.max(most, meant[i] + wrong[i], near[i]);
    // Square roots: a handful of false openings must show beside thousands of near misses.
    const high = (count) => (Math.sqrt(count) / Math.sqrt(most)) * (HEIGHT - TOP - BOTTOM);
    const base = HEIGHT - BOTTOM;
    for (let i = lowest; i < meant.length; i += 1) {
      const x = (i - lowest) * wide;
      ctx.fillStyle = colour.near;
      ctx.fillRect(x + 0.5, base - high(near[i]), wide - 1, high(near[i]));
      const both = high(meant[i] + wrong[i]);
      ctx.fillStyle = colour.word;
      ctx.fillRect(x + 0.5, base - both, wide - 1, both);
      const share = wrong[i] ? Math.max(4, (both * wrong[i]) / (meant[i] + wrong[i])) : 0;
      ctx.fillStyle = colour.false;
      ctx.fillRect(x + 0.5, base - share, wide - 1, share);
    }
    ctx.fillStyle = colour.soft;
    ctx.strokeStyle = colour.line;
    ctx.beginPath();
    ctx.moveTo(0, base + 0.5);
    ctx.lineTo(width, base + 0.5);
    ctx.stroke();
    const step = width < 420 ? 40 : 20;
    for (let score = Math.ceil((lowest * STEP) / step) * step; score <= 255; score += step) {
      const x = ((score / STEP - lowest) * width) / size;
      ctx.fillText(String(score), earlid.clamp(x - 10, 0, width - 24), HEIGHT - 5);
    }
    ctx.fillStyle = ctx.strokeStyle = colour.ink;
    ctx.lineWidth = 1.5;
    ctx.setLineDash([5, 4]);
    for (const cutoff of cutoffs.slice(0, 3)) {
      const x = (cutoff / STEP - lowest) * wide;
      ctx.beginPath();
      ctx.moveTo(x, 4);
      ctx.lineTo(x, base);
      ctx.stroke();
      const text = `cutoff ${cutoff}`;
      ctx.fillText(text, earlid.clamp(x - ctx.measureText(text).width - 6, 0, width), 14);
    }
    ctx.setLineDash([]);
    words(found, view);
  };

  const words = ({ meant, wrong, near, cutoffs }, view) => {
    const parts = [
      `${earlid.countText(sum(near), "near miss", "near misses")} below the cutoff`,
      `${earlid.countText(sum(meant) + sum(wrong), "opening")} by the word above it`,
    ];
    if (sum(wrong)) parts.push(`${sum(wrong)} of them labelled not meant`);
    const cutoff = cutoffs.length ? `Cutoff ${cutoffs.slice(0, 3).join(", ")} of 255. ` : "";
    const text = `${cutoff}${parts.join(", ")}, in the time shown above. Heights are square roots of counts.`;
    if (earlid.$("scores-said").textContent !== text) earlid.$("scores-said").textContent = text;
    earlid.$("scores").setAttribute("aria-label", `Histogram of scores, ${earlid.zone.rangeText(view.t0, view.t1)}`);
  };

  earlid.scores = { draw };
}
