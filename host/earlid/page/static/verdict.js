// SPDX-License-Identifier: MIT
// The verdict on each board's hash chain, and gaps in the numbers.
{
  const { $, el } = earlid;
  const broken = new Set(); // boards whose chain is: the top of the page says so too

  // A code's QR modules as a picture, on white with its border of 4.
  const qr = (modules, code) => {
    const side = modules.length + 8;
    const dark = modules.flatMap((row, y) => [...row].map((module, x) => (module === "1" ? `M${x + 4} ${y + 4}h1v1h-1z` : "")));
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    for (const [name, value] of Object.entries({ class: "qr", viewBox: `0 0 ${side} ${side}`, role: "img", "aria-label": `QR code of ${code}` })) svg.setAttribute(name, value);
    const path = document.createElementNS(svg.namespaceURI, "path");
    path.setAttribute("d", dark.join(""));
    svg.append(path);
    return svg;
  };

  const show = (judgements) => {
    const { ledger } = earlid;
    broken.clear();
    for (const judgement of judgements) if (judgement.bad) broken.add(judgement.board);
    earlid.summary.top();
    const parts = judgements.flatMap((judgement) => {
      const number = ledger.boards.findIndex((board) => board.board === judgement.board);
      const title = number < 0 ? judgement.board : ledger.titleOf(number);
      const intact = judgement.findings.every((finding) => finding.verdict === "intact");
      const kind = judgement.bad ? "bad" : intact ? "good" : "open";
      const word = judgement.bad ? "Broken" : intact ? "Intact" : "Cannot judge";
      const head = el("h3", { class: kind }, el("i", { "aria-hidden": "true" }), `${title}: ${word}`);
      const sentences = judgement.findings.slice(0, 20).map((finding) => el("li", {}, finding.say));
      if (judgement.findings.length > 20) sentences.push(el("li", {}, `and ${judgement.findings.length - 20} more: see earlid verify`));
      const sum = `${earlid.countText(judgement.records, "record")} checked${judgement.keyed ? " with the board's key" : ", links only: not paired with this computer"}.`;
      const code = judgement.code ? el("p", { class: "hint" }, `${sum} Head now, to write down: `, el("code", {}, judgement.code)) : null;
      return [head, el("ul", {}, ...sentences), code, judgement.qr.length ? qr(judgement.qr, judgement.code) : null];
    });
    const nameOf = (id) => ledger.boards.find((board) => board.board === id)?.name || id;
    const gaps = ledger.header.gaps.map(({ board, first, last }) => el("li", {}, `${nameOf(board)}: records ${first} to ${last} are missing.`));
    const missing = gaps.length ? [el("h3", { class: "bad" }, el("i", { "aria-hidden": "true" }), earlid.countText(gaps.length, "gap")), el("ul", {}, ...gaps)] : [];
    $("verdicts").replaceChildren(...parts.filter(Boolean), ...missing);
    if (!judgements.length) $("verdicts").replaceChildren(el("p", { class: "hint" }, "No records to judge yet."));
  };

  const fetchAgain = async () => {
    $("again").disabled = true;
    $("verdicts").replaceChildren(el("p", { class: "hint" }, "Checking every link…"));
    try {
      show(await earlid.live.request("verdict"));
    } catch (error) {
      $("verdicts").replaceChildren(el("p", { class: "hint" }, error.message));
    }
    $("again").disabled = false;
  };

  earlid.verdict = { broken, show, fetchAgain };
}
