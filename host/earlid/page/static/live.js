// SPDX-License-Identifier: MIT
// The page's talk with its server: changes as they come, labels as they are clicked. A file on a disk talks to nobody.
{
  const { $ } = earlid;
  const RELOAD_MS = 500;
  let source = null;

  const ask = async (path, options) => {
    let answer;
    try {
      answer = await fetch(path, { credentials: "omit", ...options });
    } catch {
      throw new Error("The server cannot be reached: is `earlid review --serve` still running?");
    }
    const type = answer.headers.get("content-type") ?? "";
    const told = type.startsWith("application/json") ? await answer.json() : answer;
    if (!answer.ok) throw new Error(told.say ?? `The server answered ${answer.status}.`);
    return told;
  };

  // Packed data: all, or the last days where all would take long ("data?recent").
  const block = async (path = "data") => new Uint8Array(await (await ask(path)).arrayBuffer());

  const label = async (item, word) => {
    const body = JSON.stringify({ board: earlid.story.boards[item.board].board, boot: item.boot, seq: item.seq, label: word });
    try {
      const said = await ask("label", { method: "POST", headers: { "content-type": "application/json" }, body });
      earlid.trouble("");
      earlid.say(said.say);
      take({ labels: [[earlid.story.boards[item.board].board, item.boot, item.seq, word === null ? -1 : Number(word)]] });
    } catch (error) {
      earlid.trouble(error.message);
    }
  };

  const take = (change) => {
    if (earlid.story.apply(change)) earlid.main.refresh();
    else reload();
  };

  const reload = earlid.debounce(RELOAD_MS, async () => {
    try {
      earlid.story.load(await earlid.pack.unpack(await block()));
      earlid.main.refresh();
    } catch (error) {
      earlid.trouble(error.message);
    }
  });

  const status = (text, state) => {
    if ($("link").textContent === text) return;
    $("link").textContent = text;
    $("link").dataset.state = state;
  };

  const listen = () => {
    source = new EventSource(`events?since=${earlid.story.header.revision}`);
    source.addEventListener("open", () => status("Live", "live"));
    source.addEventListener("message", (event) => take(JSON.parse(event.data)));
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) status("The server has ended: start earlid review --serve again", "gone");
      else status("Connection lost, trying again…", "lost");
    });
  };

  earlid.live = { ask, block, label, listen, status };
}
