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

  const setLabel = async (item, word) => {
    const body = JSON.stringify({ board: earlid.ledger.boards[item.board].board, boot: item.boot, seq: item.seq, label: word });
    try {
      const reply = await request("label", { method: "POST", headers: { "content-type": "application/json" }, body });
      earlid.showError("");
      earlid.announce(reply.say);
      applyChange({ labels: [[earlid.ledger.boards[item.board].board, item.boot, item.seq, word === null ? -1 : Number(word)]] });
    } catch (error) {
      earlid.showError(error.message);
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

  const listen = () => {
    source = new EventSource(`events?since=${earlid.ledger.header.revision}`);
    source.addEventListener("open", () => status("Live", "live"));
    source.addEventListener("message", (event) => applyChange(JSON.parse(event.data)));
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) status("The server has ended: start earlid review --serve again", "gone");
      else status("Connection lost, trying again…", "lost");
    });
  };

  earlid.live = { request, fetchBlock, setLabel, listen, status };
}
