// SPDX-License-Identifier: MIT
// Requests to the server, and its events: changes as they come, labels as they are clicked. A file on a disk has none.
{
  const { $ } = earlid;
  const RELOAD_MS = 500;
  let source = null;

  const request = async (path, options) => {
    let response;
    try {
      response = await fetch(path, { credentials: "omit", ...options });
    } catch {
      throw new Error("The server cannot be reached: is `earlid review --serve` still running?");
    }
    const type = response.headers.get("content-type") ?? "";
    const body = type.startsWith("application/json") ? await response.json() : response;
    if (!response.ok) throw new Error(body.say ?? `The server answered ${response.status}.`);
    return body;
  };

  // Packed data: all, or the last days where all would take long ("data?recent").
  const fetchBlock = async (path = "data") => new Uint8Array(await (await request(path)).arrayBuffer());

  // Labels as [item, word], word true, false or null; true when the server has them.
  const CHUNK = 200;
  const setLabels = async (words) => {
    try {
      for (let at = 0; at < words.length; at += CHUNK) {
        const labels = words.slice(at, at + CHUNK).map(([item, label]) => ({ board: earlid.ledger.boards[item.board].board, boot: item.boot, seq: item.seq, label }));
        await request("label", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ labels }) });
        applyChange({ labels: labels.map(({ board, boot, seq, label }) => [board, boot, seq, label === null ? -1 : Number(label)]) });
      }
      earlid.showError("");
      return true;
    } catch (error) {
      earlid.showError(error.message);
      return false;
    }
  };

  const applyChange = (change) => {
    if (earlid.ledger.apply(change)) earlid.main.refresh();
    else reload();
  };

  const reload = earlid.debounce(RELOAD_MS, async () => {
    try {
      earlid.ledger.load(await earlid.pack.unpack(await fetchBlock()));
      earlid.main.refresh();
    } catch (error) {
      earlid.showError(error.message);
    }
  });

  const status = (text, state) => {
    if ($("link").textContent === text) return;
    $("link").textContent = text;
    $("link").dataset.state = state;
  };

  // "Live" is only what somebody collects.
  const badge = () => {
    const { ledger, zone } = earlid;
    if (source?.readyState !== EventSource.OPEN) return;
    const seen = ledger.boards.reduce((newest, board) => Math.max(newest, board.seen), 0);
    if (ledger.boards.some((_, number) => ledger.heard(number))) status("Live", "live");
    else status(`Nothing collects${seen ? ` since ${zone.dateText(seen)}, ${zone.timeText(seen)}` : ""}: run earlid watch`, "idle");
  };

  const listen = () => {
    source = new EventSource(`events?since=${earlid.ledger.header.revision}`);
    source.addEventListener("open", badge);
    source.addEventListener("message", (event) => applyChange(JSON.parse(event.data)));
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) status("The server has ended: start earlid review --serve again", "gone");
      else status("Connection lost, trying again…", "lost");
    });
  };

  earlid.live = { request, fetchBlock, setLabels, listen, badge, status };
}
