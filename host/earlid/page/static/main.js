// SPDX-License-Identifier: MIT
// Opens the data, draws everything once, then waits.
{
  const { $, el } = earlid;

  // After a change of the data: everything, the view moved along where it follows the newest.
  const refresh = () => {
    const { view, ledger } = earlid;
    if (view.followsNewest) {
      const behind = ledger.bounds()[1] - view.t1;
      if (behind > 0) view.set(view.t0 + behind, view.t1 + behind);
    }
    earlid.summary.refresh();
    earlid.days.refresh();
    earlid.check.draw();
    earlid.gestures.details();
    view.changed();
  };

  // The last days are drawn; the rest follows, and what is being looked at stays where it is.
  const older = async () => {
    earlid.live.status("Reading older records…", "older");
    try {
      earlid.ledger.load(await earlid.pack.unpack(await earlid.live.fetchBlock()));
      refresh();
    } catch (error) {
      earlid.showError(error.message);
    }
  };

  // The sealed records stand last in the file, behind this script, so that the page is drawn before they are read.
  const SMALL = 4e6; // characters, some 80,000 records: checked without being asked
  const proof = () => {
    const { ledger } = earlid;
    const sealed = $("sealed").textContent.trim();
    const { header, openings, points } = ledger;
    earlid.proof.start([
      "Your browser walks every link of the sealed records in this file and every signature of what the computer added, and makes every number above anew. But the program that checks came with the page: if you do not trust whoever made it, open this file in a page of your own, which ",
      el("code", {}, "earlid verify --html verify.html"), " writes.",
    ]);
    earlid.proof.take(() => ({ sealed, shown: { header, tables: { openings: { ...openings }, points: { ...points } } } }), sealed.length < SMALL);
  };

  const start = async () => {
    const { view, ledger } = earlid;
    const inside = $("pack").textContent.trim();
    $("pack").textContent = "";
    try {
      const block = inside ? earlid.pack.fromBase64(inside) : await earlid.live.fetchBlock("data?recent");
      ledger.load(await earlid.pack.unpack(block));
    } catch (error) {
      earlid.showError(error.message);
      $("lead").textContent = "The records could not be read.";
      return;
    }
    view.onFrame(earlid.timeline.draw);
    view.onFrame(earlid.days.draw);
    view.onFrame(earlid.summary.range); // last: it changes text, and who measures after that waits for a new layout
    view.onSettled(earlid.summary.settled);
    view.onSettled(earlid.scores.draw);
    view.onSettled(earlid.listing.draw);
    for (const part of ["gestures", "days", "summary", "listing", "check"]) earlid[part].start();
    view.start();
    refresh();
    requestAnimationFrame(() => requestAnimationFrame(() => performance.mark("earlid drawn")));
    new ResizeObserver(() => view.changed()).observe($("lanes"));
    $("again").hidden = !ledger.live;
    $("again").addEventListener("click", earlid.verdict.fetchAgain);
    if (!ledger.live) {
      earlid.live.status("Report", "report");
      earlid.verdict.show(ledger.header.verdicts);
      if (document.readyState === "loading") addEventListener("DOMContentLoaded", proof);
      else proof();
      return;
    }
    if (!ledger.header.whole) await older();
    earlid.live.listen();
    earlid.verdict.fetchAgain();
    setInterval(() => {
      if (ledger.anyOpen() || view.followsNewest) view.changed();
      earlid.live.badge();
      earlid.summary.lids();
      if (ledger.anyOpen()) earlid.summary.top();
    }, 1000);
  };

  earlid.main = { refresh };
  start();
}
