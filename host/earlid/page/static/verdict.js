// SPDX-License-Identifier: MIT
// What the chain of records says of itself, board by board, and what is missing.
{
  const { $, el } = earlid;
  const broken = new Set(); // boards whose chain is: the top of the page says so too

  const show = (found) => {
    const { story } = earlid;
    broken.clear();
    for (const judged of found) if (judged.bad) broken.add(judged.board);
    earlid.summary.top();
    const parts = found.flatMap((judged) => {
      const number = story.boards.findIndex((board) => board.board === judged.board);
      const title = number < 0 ? judged.board : story.title(number);
      const intact = judged.findings.every((finding) => finding.verdict === "intact");
      const kind = judged.bad ? "bad" : intact ? "good" : "open";
      const word = judged.bad ? "Broken" : intact ? "Intact" : "Cannot judge";
      const head = el("h3", { class: kind }, el("i", { "aria-hidden": "true" }), `${title}: ${word}`);
      const says = judged.findings.slice(0, 20).map((finding) => el("li", {}, finding.say));
      if (judged.findings.length > 20) says.push(el("li", {}, `and ${judged.findings.length - 20} more: see earlid verify`));
      const sum = `${earlid.count(judged.records, "record")} checked${judged.keyed ? " with the board's key" : ", links only: not paired with this computer"}.`;
      const code = judged.code ? el("p", { class: "hint" }, `${sum} Head now, to write down: `, el("code", {}, judged.code)) : null;
      return [head, el("ul", {}, ...says), code];
    });
    const missing = story.header.gaps.length
      ? el("p", { class: "hint" }, `${earlid.count(story.header.gaps.length, "gap")} in the numbers of the records kept.`)
      : null;
    $("verdicts").replaceChildren(...parts.filter(Boolean), missing ?? "");
    if (!found.length) $("verdicts").replaceChildren(el("p", { class: "hint" }, "No records to judge."));
  };

  const fetchAgain = async () => {
    $("again").disabled = true;
    $("verdicts").replaceChildren(el("p", { class: "hint" }, "Checking every link…"));
    try {
      show(await earlid.live.ask("verdict"));
    } catch (error) {
      $("verdicts").replaceChildren(el("p", { class: "hint" }, error.message));
    }
    $("again").disabled = false;
  };

  earlid.verdict = { broken, show, fetchAgain };
}
