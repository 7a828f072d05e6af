// SPDX-License-Identifier: MIT
// Judges one board's chain of records: each link is SHA-256 over the link before, the body and the mac.
(() => {
  "use strict";
  const verifier = (globalThis.earlidVerifier ??= {});

  const BATCH = 1000; // digests in flight at once: one costs 5 to 7 µs, most of it on its way to the browser's thread and back
  const DIGESTS_SHARE = 0.9; // of the progress; where no link fits, the walk that follows takes the longer
  const INPUT_BYTES = 60;

  // link of record i of `slots` over the link before it
  const linkOver = async (before, slots, i) => {
    const at = i * 64;
    const input = verifier.join(before, slots.subarray(at, at + 40), slots.subarray(at + 52, at + 60));
    return (await verifier.sha256(input)).subarray(0, verifier.LINK_BYTES);
  };
  const linkAt = (slots, i) => slots.subarray(i * 64 + 40, i * 64 + 52);

  // For each record whether its link is made over the one that stands before it here.
  const followers = async (slots, count, onStep) => {
    const follows = new Uint8Array(count);
    const input = new Uint8Array(BATCH * INPUT_BYTES);
    const pause = verifier.makePause();
    for (let first = 1; first < count; first += BATCH) {
      const last = Math.min(count, first + BATCH);
      const digests = [];
      for (let i = first; i < last; i += 1) {
        const at = (i - first) * INPUT_BYTES;
        const slot = i * 64;
        input.set(slots.subarray(slot - 24, slot - 12), at); // the link in the slot before
        input.set(slots.subarray(slot, slot + 40), at + 12);
        input.set(slots.subarray(slot + 52, slot + 60), at + 52);
        digests.push(crypto.subtle.digest("SHA-256", input.subarray(at, at + INPUT_BYTES)));
      }
      (await Promise.all(digests)).forEach((digest, n) => {
        follows[first + n] = verifier.sameBytes(new Uint8Array(digest, 0, 12), linkAt(slots, first + n)) ? 1 : 0;
      });
      onStep((last - first) * DIGESTS_SHARE);
      await pause();
    }
    return follows;
  };

  // Runs of numbers, each [first, last]: one that goes on where the last ends, or lies in it, makes it longer.
  const extend = (runs, number) => {
    const run = runs.at(-1);
    if (run && run[1] + 1 >= number && number >= run[0]) run[1] = Math.max(run[1], number);
    else runs.push([number, number]);
  };
  const spanText = ([first, last]) => (first === last ? `${first}` : `${first} to ${last}`);
  const finding = (verdict, first, last, say) => ({ verdict, first, last, say });
  const at_or_before = (boot, seq, other) => boot < other[0] || (boot === other[0] && seq <= other[1]);

  // Walks the records of one board.
  class Walk {
    constructor(evidence, { purges, anchors, witnesses }, typed, genesis) {
      this.board = evidence.board;
      this.slots = evidence.slots;
      this.view = verifier.viewOf(evidence.slots);
      this.records = evidence.slots.length / 64;
      this.before = evidence.before;
      this.newest = evidence.head; // of the ledger, as a report tells; null where all of it is here
      this.genesis = genesis;
      this.purges = purges;
      this.nextPurge = 0;
      this.anchors = anchors;
      this.witnesses = new Map(); // "boot:seq" -> what witnesses said of that record
      for (const said of witnesses) {
        const key = `${said.boot}:${said.seq}`;
        if (!this.witnesses.has(key)) this.witnesses.set(key, []);
        this.witnesses.get(key).push(said);
      }
      this.met = new Set(); // keys of `witnesses` that are here
      this.begun = 0; // number of the record since which each is linked to the one before; 0 where none is
      this.vouched = new Map(); // "boot:seq:link" that a witness saw and that is here -> the record from which its word reaches
      this.witnessed = new Set(); // numbers at which a witness saw another link
      this.typed = typed.map((code) => ({ ...code, fits: this.isEndOfPurge(code) || null }));
      this.isStranger = evidence.board.includes(".");
      this.boot = 0;
      this.seq = this.before ? this.before.seq : 0; // the last number that is accounted for
      this.links = [this.before ? verifier.bytesOf(this.before.link) : genesis]; // any of them may stand before the next record
      this.checked = 0;
      this.first = 0;
      this.broken = [];
      this.contradicted = [];
      this.gaps = [];
      this.restarts = [];
      this.lost = [];
      this.foreign = 0; // records of an event or reason that the format does not have
    }

    async run(onStep) {
      const follows = await followers(this.slots, this.records, onStep);
      const pause = verifier.makePause();
      for (let i = 0; i < this.records; i += 1) {
        const seq = verifier.seqAt(this.view, i);
        const boot = verifier.bootAt(this.view, i);
        if (i % BATCH === 0) {
          onStep(Math.min(BATCH, this.records - i) * (1 - DIGESTS_SHARE));
          await pause();
        }
        this.begin(boot, seq, i);
        await this.check(i, seq, follows[i] === 1);
        this.compare(boot, seq, linkAt(this.slots, i));
        this.note(i);
        this.first ||= seq;
        this.seq = seq;
        this.boot = boot;
      }
      this.skipPurges(Infinity, Infinity);
    }

    begin(boot, seq, i) {
      if (i === 0 && this.isStranger && !this.before) {
        this.seq = seq - 1;
        this.links = [];
      }
      if (seq <= this.seq) {
        this.restarts.push([boot, seq]);
        this.links = seq === 1 ? [this.genesis] : [];
        this.seq = seq - 1;
        this.begun = 0;
      }
      this.skipPurges(boot, seq);
      if (seq > this.seq + 1) {
        this.gaps.push([this.seq + 1, seq - 1]);
        this.links = [];
      }
    }

    skipPurges(boot, seq) {
      for (; this.nextPurge < this.purges.length; this.nextPurge += 1) {
        const purge = this.purges[this.nextPurge];
        const lies_before = purge.boot_from < boot || (purge.boot_from === boot && purge.seq_from < seq);
        if (!lies_before) return;
        if (purge.seq_from > this.seq + 1) this.gaps.push([this.seq + 1, purge.seq_from - 1]);
        else if (purge.seq_from === this.seq + 1 && purge.head_before !== null && this.links.length) {
          const before = verifier.bytesOf(purge.head_before);
          if (!this.links.some((link) => verifier.sameBytes(link, before))) extend(this.broken, this.seq);
        }
        this.seq = purge.seq_to;
        this.links = [verifier.bytesOf(purge.head_after)];
        this.begun = 0;
      }
    }

    // `follows`: the link is made over the one in the slot before.
    async check(i, seq, follows) {
      if (!this.links.length || this.begun === 0) this.begun = seq;
      const link = linkAt(this.slots, i);
      if (this.links.length) {
        this.checked += 1;
        const slot_before = i > 0 ? linkAt(this.slots, i - 1) : null;
        let computed = null;
        for (const before of this.links) {
          if (slot_before && verifier.sameBytes(before, slot_before)) {
            if (follows) {
              computed = link;
              break;
            }
            if (before !== this.links.at(-1)) continue;
          }
          computed = await linkOver(before, this.slots, i);
          if (verifier.sameBytes(computed, link)) break;
        }
        if (!verifier.sameBytes(computed, link)) {
          extend(this.broken, seq);
          this.begun = 0;
          this.links = [link, computed]; // the body was altered, or the link: the next was made over the true one
          return;
        }
      }
      this.links = [link];
    }

    compare(boot, seq, link) {
      const key = `${boot}:${seq}`;
      const kept = this.anchors.get(key);
      if (kept !== undefined && kept !== verifier.hexOf(link)) extend(this.contradicted, seq);
      for (const said of this.witnesses.get(key) ?? []) {
        this.met.add(key);
        if (said.link !== verifier.hexOf(link)) this.witnessed.add(seq);
        else if (this.begun) this.vouched.set(`${key}:${said.link}`, this.begun);
      }
      for (const code of this.typed) {
        if (code.seq === seq) code.fits ||= verifier.sameBytes(code.link, link.subarray(0, 5));
      }
    }

    note(i) {
      const { event, reason, a, b } = verifier.recordAt(this.view, i);
      if (event === "lost" && reason === "overwritten") this.lost.push([b, b + a - 1]);
      if (event === "unknown" || reason === "unknown") this.foreign += 1;
    }

    findings() {
      const found = [
        ...this.broken.map((run) =>
          finding("altered", ...run, `Altered at ${spanText(run)}: what stands there is not what the links were made over.`)),
        ...this.contradicted.map((run) =>
          finding("altered", ...run, `Altered at or before ${spanText(run)}: an earlier sync saw another link there, so the ` +
            "chain was made anew since.")),
        ...this.gaps.map((run) => this.gapFinding(run)),
        ...this.restarts.map(([boot, seq]) =>
          finding("restarted chain", seq, seq, `Restarted chain: with start ${boot} the numbers begin again at ${seq}. Its ` +
            "flash was erased, or another board uses its name; each part is judged by itself.")),
        ...this.tailFindings(),
        ...this.codeFindings(),
      ];
      if (this.foreign) {
        const say = `Altered: ${this.foreign} records have an event or reason that no board of this format could have sealed.`;
        found.push(finding("altered", 0, 0, say));
      }
      found.sort((one, other) => one.first - other.first);
      const contradicted = this.witnessFindings();
      if (!found.length) found.push(this.soundFinding());
      return [...found.filter(({ verdict }) => !contradicted.length || verdict !== "intact"), ...contradicted];
    }

    // What witnesses contradict: a record of another link, records that are gone, a chain that they refused to sign.
    witnessFindings() {
      let newest = 0;
      for (const [key, all] of this.witnesses) {
        const { boot, seq } = all[0];
        if (this.met.has(key)) continue;
        if (this.isBeyond(boot, seq)) newest = Math.max(newest, this.isCutOnPurpose() ? 0 : seq);
        else if (all.some((said) => said.contradicts)) this.witnessed.add(seq);
      }
      const found = [...this.witnessed].sort((one, other) => one - other).map((seq) =>
        finding("altered", seq, seq, `Altered at or before ${seq}: a witness saw another link there.`));
      return newest ? [...found, this.tailCut(newest, "a witness saw")] : found;
    }

    gapFinding(run) {
      const told = this.lost.some(([first, last]) => first <= run[0] && run[1] <= last);
      const why = told
        ? "The board itself says that it overwrote them before they were fetched."
        : "Whether they were lost on the way or removed cannot be known from here.";
      return finding("gap", ...run, `Gap ${spanText(run)}: ${run[1] - run[0] + 1} records are missing. ${why}`);
    }

    // A report may end before the ledger does.
    isCutOnPurpose() {
      return this.newest !== null && this.newest !== undefined && this.newest.seq > this.seq;
    }

    isBeyond(boot, seq) {
      return seq > this.seq && !at_or_before(boot, seq, [this.boot, this.seq]);
    }

    tailFindings() {
      if (this.isCutOnPurpose()) return []; // a report that ends before the ledger does
      let newest = null;
      for (const key of this.anchors.keys()) {
        const [boot, seq] = key.split(":").map(Number);
        if (this.isBeyond(boot, seq) && (newest === null || !at_or_before(boot, seq, newest))) newest = [boot, seq];
      }
      return newest === null ? [] : [this.tailCut(newest[1], "an earlier sync saw")];
    }

    tailCut(seq, who) {
      return finding("tail cut", this.seq + 1, seq, `Tail cut: the records end at ${this.seq}, but ${who} record ${seq}.`);
    }

    codeFindings() {
      return this.typed.flatMap((code) => {
        if (code.fits) return [];
        const of_it = (verdict, say) => [finding(verdict, code.seq, code.seq, say)];
        const cannot = (why) => of_it("cannot judge", `Cannot judge the anchor code: its record ${code.seq} ${why}.`);
        if (code.seq > this.seq) {
          const left_out = this.isCutOnPurpose() && code.seq <= this.newest.seq;
          return left_out ? cannot("is not in this report") : [this.tailCut(code.seq, "your anchor code names")];
        }
        if (code.fits === null) return cannot(this.before ? "is not in this report" : "is not kept any more");
        return of_it("altered", `Altered at or before ${code.seq}: its link is not the one in your anchor code, so the chain ` +
          "was made anew since, or the code is another board's.");
      });
    }

    isEndOfPurge(code) {
      return this.purges.some((run) => run.seq_to === code.seq &&
        verifier.sameBytes(code.link, verifier.bytesOf(run.head_after).subarray(0, 5)));
    }

    soundFinding() {
      if (!this.records) {
        const why = this.purges.length ? "every record of this board was purged" : "there is no record of this board";
        return finding("cannot judge", 0, this.seq, `Cannot judge: ${why}.`);
      }
      if (this.isStranger) {
        const say = `Cannot judge: a stranger sealed records ${this.first} to ${this.seq}. They follow each other link by ` +
          "link; whose they are cannot be known.";
        return finding("cannot judge", this.first, this.seq, say);
      }
      const all = !this.purges.length || this.purges[0].seq_from === 1;
      const first = all && !this.before ? 1 : this.first;
      const purged = this.purges.reduce((sum, run) => sum + run.seq_to - run.seq_from + 1, 0);
      const say = `Intact: records ${first} to ${this.seq} follow each other link by link, ` +
        `${purged ? `${purged} purged in between, ` : ""}none is missing.`;
      return finding("intact", first, this.seq, say);
    }

    // From which record on a head that was seen vouches; null where its record is not here as it was seen.
    vouchedFrom({ boot, seq, link }) {
      return this.vouched.get(`${boot}:${seq}:${link}`) ?? null;
    }

    // What cannot be known from what is here.
    cannot() {
      if (!this.records) return [];
      const said = [];
      if (this.before) said.push(`It begins at record ${this.before.seq + 1}; what stands before is not in this report.`);
      if (this.isCutOnPurpose()) {
        said.push(`It ends at record ${this.seq}; records up to ${this.newest.seq} are not in this report.`);
      }
      const fitting = this.typed.filter((code) => code.fits).map((code) => code.seq);
      said.push(
        fitting.length
          ? `Whether somebody made links anew behind record ${Math.max(...fitting)}, of which your anchor code is.`
          : "Whether somebody made every link anew: the board's key, or an anchor code that somebody kept, would tell.",
        "What the board never recorded.",
      );
      return said;
    }
  }

  // Walks a board of the evidence; what holds is asked of the walk, once it is known whose the typed codes are.
  // said: {purges: rows as of the export's header, sorted, anchors: Map "boot:seq" -> link in hex, witnesses};
  // typed: of `parseCode`; onStep(count): that many links more were checked.
  const walkBoard = async (board, said, typed, onStep) => {
    const walk = new Walk(board, said, typed, await verifier.genesis(board.board));
    await walk.run(onStep);
    return walk;
  };

  const judgementOf = (walk) => ({
    board: walk.board,
    records: walk.records,
    links: walk.checked,
    head: walk.seq,
    anchor: walk.records && !walk.isStranger ? verifier.makeCode(walk.seq, linkAt(walk.slots, walk.records - 1)) : "",
    findings: walk.findings(),
    cannot: walk.cannot(),
  });

  Object.assign(verifier, { walkBoard, judgementOf, extend });
})();
