// SPDX-License-Identifier: MIT
// Check it yourself: starts the check, shows how far it is, and says what it found.
{
  const { $, el, countText } = earlid;
  const SHOWN = 20; // of the lines of one kind
  const SUMS = { bad: "not as it should be", open: "not all of it can be judged", good: "nothing wrong found" };
  let task = null;
  let running = 0;

  const inWorker = (message, onProgress) => new Promise((done, fail) => {
    let heard = false;
    let worker;
    const inPage = () => earlid.job.check(message, onProgress).then(done, fail);
    try {
      const url = URL.createObjectURL(new Blob([$("checker").textContent], { type: "text/javascript" }));
      worker = new Worker(url);
      URL.revokeObjectURL(url);
    } catch {
      inPage();
      return;
    }
    worker.addEventListener("message", ({ data }) => {
      heard = true;
      if (data.done !== undefined) onProgress(data.done, data.total);
      else {
        worker.terminate();
        if (data.error) fail(new Error(data.error));
        else done(data.result);
      }
    });
    worker.addEventListener("error", (event) => {
      event.preventDefault();
      worker.terminate();
      if (heard) fail(new Error(event.message));
      else inPage();
    });
    worker.postMessage(message);
  });

  const lines = (items, one) => {
    const shown = items.slice(0, SHOWN).map((item) => el("li", {}, one(item)));
    if (items.length > SHOWN) shown.push(el("li", {}, `and ${items.length - SHOWN} more`));
    return shown.length ? el("ul", {}, ...shown) : null;
  };

  // A statement, and what somebody needs who checks it with another program.
  const witnessed = ({ say, files }) => el("span", {}, say, ...Object.entries(files).flatMap(([name, data]) => [
    " ", el("a", { download: name, href: `data:application/octet-stream;base64,${data}` }, name),
  ]));

  const heading = (kind, text) => el("h3", { class: kind }, el("i", { "aria-hidden": "true" }), text);

  const judged = ({ board, records, links, anchor, findings, cannot, refused, witnesses = [] }, names) => {
    const bad = findings.some(({ verdict }) => !["intact", "cannot judge"].includes(verdict));
    const intact = findings.every(({ verdict }) => verdict === "intact");
    const who = refused ? "The file" : board ? names[board] || board : "What the computer added";
    const word = bad ? "Broken" : intact ? "Intact" : "Cannot judge";
    const sum = board ? `${countText(records, "record")}, ${countText(links, "link")} checked here.` : "";
    return [
      heading(bad ? "bad" : intact ? "good" : "open", `${who}: ${word}`),
      lines(findings, ({ say }) => say),
      sum ? el("p", { class: "hint" }, sum, anchor ? " Head: " : null, anchor ? el("code", {}, anchor) : null) : null,
      witnesses.length ? el("p", { class: "hint" }, "Who saw its records:") : null,
      lines(witnesses, witnessed),
      cannot.length ? el("p", { class: "hint" }, "What this file cannot tell:") : null,
      lines(cannot, (say) => say),
    ];
  };

  // Columns of the tables as people call them, and their values.
  const whenText = (ms) => (Number.isFinite(ms) && Math.abs(ms) < 8.64e15 ? `${new Date(ms).toISOString().slice(0, 19).replace("T", " ")} UTC` : String(ms));
  const spanText = (ms) => (ms < 0 ? "no bound" : earlid.durationText(ms));
  const LABELS = { "-1": "none", 0: "not meant", 1: "meant" };
  const COLUMNS = {
    t: ["time", whenText], unc: ["how far off the time may be", spanText], live: ["length as drawn", spanText],
    least: ["live at least", spanText], most: ["live at most", spanText], label: ["label", (word) => LABELS[word] ?? word],
    outside: ["with the lid closed", (flag) => (flag ? "yes" : "no")], reason: ["why"], ended: ["closed by"], doubt: ["doubt"],
    signs: ["signs of doubt"], since: ["lid's state since", (ms) => (ms === null ? "not known" : whenText(ms))], lid: ["lid"],
  };
  const differenceText = (names) => ({ what, board, seq, shown, computed }) => {
    if (what === "more") return `and ${computed} more`;
    const place = [board && (names[board] || board), seq && `record ${seq}`].filter(Boolean).join(", ");
    const isWhole = / (added|left out|twice)$/.test(what);
    const [name, text = String] = COLUMNS[what] ?? [what];
    if (isWhole) return `${place}: ${what}, ${whenText(shown ?? computed)}`;
    return `${place}, ${name}: ${shown === null ? "nothing" : text(shown)} shown, ${computed === null ? "nothing" : text(computed)} by the records`;
  };

  // How many of each kind.
  const counted = (rows) => {
    const counts = new Map();
    for (const { what, computed } of rows) {
      const name = what === "more" ? "of these, more" : (COLUMNS[what] ?? [what])[0];
      counts.set(name, (counts.get(name) ?? 0) + (what === "more" ? computed : 1));
    }
    return [...counts];
  };

  const page = ({ pageKnown }) => (pageKnown === false
    ? [
      heading("open", "Another page than Earlid makes"),
      el("ul", {}, el("li", {}, "The page in this file is not the one that this version of Earlid writes: it is another version's, or was altered. What it draws may be something else than its own numbers. Trust what stands here.")),
    ] : []);

  const numbersText = ({ isReport, numbers, names }) => {
    const { openings, points, different, unsure, problems } = numbers;
    if (problems.length) return [];
    const made = `${countText(openings, "opening")} and ${countText(points, "other record")}`;
    if (!isReport) return [heading("good", `Made anew from the records: ${made}`)];
    const sure = unsure.length ? "Nothing shown contradicts the records" : "Every number shown follows from the records";
    const count = different.reduce((sum, { what, computed }) => sum + (what === "more" ? computed : 1), 0);
    const title = count ? `${countText(count, "number")} shown differ${count === 1 ? "s" : ""} from the records` : sure;
    return [
      heading(different.length ? "bad" : unsure.length ? "open" : "good", title),
      el("p", { class: "hint" }, `Made anew: ${made}, with their times, bounds and labels.`),
      lines(different, differenceText(names)),
      unsure.length ? el("p", { class: "hint" }, "Cannot be compared, since they may rest on records that are not in this file:") : null,
      lines(counted(unsure), ([name, count]) => `${name}: ${countText(count, "number")}`),
    ];
  };

  const show = (result) => {
    const { judgements, problems, seconds, numbers, names } = result;
    const broken = judgements.filter(({ findings }) => findings.some(({ verdict }) => !["intact", "cannot judge"].includes(verdict)));
    const links = judgements.reduce((sum, judgement) => sum + (judgement.links ?? 0), 0);
    const bad = broken.length || numbers.different.length || problems.length;
    const unjudged = result.pageKnown === false || numbers.unsure.length || judgements.some(({ findings }) => findings.some(({ verdict }) => verdict === "cannot judge"));
    const state = bad ? "bad" : unjudged ? "open" : "good";
    $("proof-state").textContent = `${countText(links, "link")} checked in ${seconds.toFixed(1)} s: ${SUMS[state]}`;
    $("proof").dataset.state = state;
    const parts = [
      problems.length ? heading("bad", "The file") : null,
      lines(problems, (say) => say),
      ...judgements.flatMap((judgement) => judged(judgement, names)),
      ...numbersText(result),
      ...page(result),
    ];
    $("proven").replaceChildren(...parts.filter(Boolean));
    if (earlid.verdict) {
      for (const { board } of broken) earlid.verdict.broken.add(board);
      earlid.summary.top();
      if (numbers.different.length) earlid.showError("Numbers on this page do not follow from the records in it: see Check it yourself.");
    }
  };

  const codes = () => $("codes").value.split(/[,;\n]+/).map((code) => code.trim()).filter(Boolean);

  const run = async () => {
    const mine = (running += 1);
    $("proof-bar").hidden = false;
    $("proof-bar").removeAttribute("value");
    $("proof-state").textContent = "Checking every link…";
    $("proof").dataset.state = "running";
    $("proven").replaceChildren();
    const onProgress = (done, total) => {
      if (mine !== running || !total) return;
      $("proof-bar").max = total;
      $("proof-bar").value = done;
    };
    try {
      const result = await inWorker({ ...task(), anchors: codes() }, onProgress);
      if (mine === running) show(result);
    } catch (error) {
      if (mine !== running) return;
      $("proof-state").textContent = "Not checked";
      $("proof").dataset.state = "failed";
      $("proven").replaceChildren(heading("bad", "It could not be checked"), el("ul", {}, el("li", {}, error.message)));
    } finally {
      if (mine === running) $("proof-bar").hidden = true;
    }
  };

  const add = (text) => {
    $("codes").value = [...codes(), text].join(", ");
    if (task) run();
  };

  // what: gives { sealed, shown } or { file } to check.
  const start = (speaker) => {
    $("speaker").replaceChildren(...speaker);
    $("proof").hidden = false;
    $("anchors").addEventListener("submit", (event) => {
      event.preventDefault();
      if (task) run();
    });
    earlid.scan.start(add);
  };

  const take = (what, now = true) => {
    task = what;
    if (now) return run();
    $("proof-state").textContent = "Not checked yet";
    return null;
  };

  earlid.proof = { start, take };
}
