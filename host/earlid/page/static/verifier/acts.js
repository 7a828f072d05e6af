// SPDX-License-Identifier: MIT
// Judges the acts, what a computer added to the records: each linked to the one before, the newest signed.
(() => {
  "use strict";
  const verifier = (globalThis.earlidVerifier ??= {});

  const BATCH = 2000;
  const DOMAIN = "earlid act 1\n";
  const NO_LINK = new Uint8Array(32);
  const finding = (verdict, first, last, say) => ({ verdict, first, last, say });
  const spanText = (first, last) => (first === last ? `${first}` : `${first} to ${last}`);

  // Digests of many inputs, in order.
  const digests = async (inputs, onStep) => {
    const found = [];
    for (let at = 0; at < inputs.length; at += BATCH) {
      const some = inputs.slice(at, at + BATCH);
      found.push(...(await Promise.all(some.map((input) => (input === null ? null : verifier.sha256(input))))));
      onStep(some.length);
    }
    return found;
  };

  const fieldsOf = (body) => (body && verifier.parseObject(body)) || {};

  const bodyBytes = (body) => {
    for (let i = 0; i < body.length; i += 1) if (body.charCodeAt(i) > 127) return null; // canonical JSON is ASCII
    return verifier.ascii(body);
  };

  // The act of a row; what no act can have becomes something that no check accepts.
  const readAct = ([installation, number, place, kind, body, body_hash, link, signature]) => ({
    installation: /^[0-9a-f]{16}$/.test(installation) ? installation : "?",
    number,
    place,
    kind: /^[a-z]{1,24}$/.test(kind) ? kind : "?", // a newer Earlid's too: it is linked as the others are
    body,
    body_hash: verifier.bytesOf(body_hash),
    link: verifier.bytesOf(link),
    signature: verifier.bytesOf(signature),
    before: null, // the link before it, where that is known
    is_broken: false,
  });

  const linkInput = (act) => {
    const places = new DataView(new ArrayBuffer(16));
    places.setBigUint64(0, BigInt(act.number), true);
    places.setBigUint64(8, BigInt(act.place), true);
    return verifier.join(
      act.before, verifier.ascii(act.installation), new Uint8Array(places.buffer), act.body_hash, verifier.ascii(act.kind),
    );
  };

  const newSigner = (name) => ({
    name,
    kinds: new Map(), // kind -> how many
    newest: { number: 0, link: NO_LINK },
    key: null,
    acts: new Map(), // number -> the first act of that number
    broken: new Set(),
    missing: [],
    restored: [],
    ends: [], // the last act before each gap: no later link vouches for it
    unsigned_from: Infinity,
  });

  // Follows the acts in the order of the file.
  const follow = async (acts, onStep) => {
    const signers = new Map();
    const chain = { signers, holes: [] };
    const explained = [];
    let last_place = 0;
    const hashes = await digests(acts.map((act) => (act.body === null ? null : bodyBytes(act.body))), onStep);
    for (const [i, act] of acts.entries()) {
      if (!signers.has(act.installation)) signers.set(act.installation, newSigner(act.installation));
      const signer = signers.get(act.installation);
      signer.kinds.set(act.kind, (signer.kinds.get(act.kind) ?? 0) + 1);
      if (act.place <= last_place) act.is_broken = true;
      else if (act.place > last_place + 1) chain.holes.push([last_place + 1, act.place - 1]);
      last_place = Math.max(last_place, act.place);
      if (!signer.acts.has(act.number)) signer.acts.set(act.number, act);
      if (act.number <= signer.newest.number) {
        act.is_broken = true;
        continue;
      }
      const is_whole = act.body === null || (hashes[i] !== null && verifier.sameBytes(hashes[i], act.body_hash));
      if (!is_whole) act.is_broken = true;
      const fields = is_whole && (act.kind === "restored" || act.number === 1) ? fieldsOf(act.body) : {};
      const expected = signer.newest.number + 1;
      act.before = signer.newest.link;
      if (act.number > expected) {
        if (signer.newest.number) signer.ends.push(signer.newest);
        const gap = [expected, act.number - 1];
        const is_told = act.kind === "restored" && String(fields.missing) === String(gap);
        act.before = is_told ? verifier.bytesOf(fields.behind) : null;
        (is_told ? signer.restored : signer.missing).push(gap);
      }
      if (act.kind === "restored" && Array.isArray(fields.places) && fields.places.length === 2) explained.push(fields.places);
      if (act.number === 1 && act.kind === "begin") {
        const key = verifier.bytesOf(fields.key);
        if (key && verifier.hexOf((await verifier.sha256(key)).subarray(0, 8)) === act.installation) signer.key = key;
      }
      signer.newest = act;
    }
    const links = await digests(acts.map((act) => (act.before === null ? null : linkInput(act))), onStep);
    for (const [i, act] of acts.entries()) {
      if (links[i] !== null && !verifier.sameBytes(links[i], act.link)) act.is_broken = true;
      if (act.is_broken) signers.get(act.installation).broken.add(act.number);
    }
    chain.holes = chain.holes.filter(([first, last]) => !explained.some(([low, high]) => low <= first && last <= high));
    return chain;
  };

  // From which act on nobody with the installation's key signed: behind the newest signed one before the first that should be.
  const findUnsigned = async (signer, isSigned) => {
    let unsigned = null;
    for (const act of [...signer.ends, signer.newest]) {
      if (unsigned === null && act.number && !(await isSigned(signer, act))) unsigned = act.number;
    }
    if (unsigned === null) return;
    signer.unsigned_from = 1;
    if (signer.key === null) return;
    const numbers = [...signer.acts.keys()].filter((number) => number < unsigned).sort((one, other) => other - one);
    for (let at = 0; at < numbers.length; at += BATCH) {
      const some = numbers.slice(at, at + BATCH);
      const signed = await Promise.all(some.map((number) => isSigned(signer, signer.acts.get(number))));
      if (signed.includes(true)) {
        signer.unsigned_from = some[signed.indexOf(true)] + 1;
        return;
      }
    }
  };

  const chainFindings = (chain) => {
    const found = [];
    for (const signer of chain.signers.values()) {
      const who = `computer ${signer.name}`;
      const runs = [];
      for (const number of [...signer.broken].sort((a, b) => a - b)) verifier.extend(runs, number);
      for (const [first, last] of runs) {
        const say = `Altered: act ${spanText(first, last)} of ${who} is not what was linked and signed.`;
        found.push(finding("altered", first, last, say));
      }
      if (signer.unsigned_from !== Infinity) {
        const first = signer.unsigned_from;
        const say = `Altered: from act ${first} of ${who} on, nobody with its key signed them: they count for nothing.`;
        found.push(finding("altered", first, signer.newest.number, say));
      }
      for (const gap of signer.missing) {
        found.push(finding("gap", 0, 0, `Gap: act ${spanText(...gap)} of ${who}: removed, or lost with a part of the ledger.`));
      }
      for (const gap of signer.restored) {
        const say = `Gap: act ${spanText(...gap)} of ${who}: the ledger was once put back to an earlier state.`;
        found.push(finding("gap", 0, 0, say));
      }
    }
    for (const hole of chain.holes) {
      found.push(finding("gap", 0, 0, `Gap: ${spanText(...hole)} in the order of all acts: another computer's were removed.`));
    }
    return found;
  };

  // The acts of the evidence: {judgement, account: of `earlidVerifier.account`, null where there are no acts, witnesses}.
  const judgeActs = async (evidence, onStep) => {
    const judgement = { board: "", records: 0, links: 0, head: 0, anchor: "", findings: [], cannot: [] };
    if (!evidence.acts.length) {
      const say = "Cannot judge what a computer added (labels, names, clocks, purges): nobody signed it.";
      judgement.findings.push(finding("cannot judge", 0, 0, say));
      return { judgement, account: null, witnesses: new Map() };
    }
    const acts = evidence.acts.map(readAct);
    const chain = await follow(acts, onStep);
    const isSignedBy = await verifier.signatureChecker();
    const isSigned = (signer, act) =>
      signer.key !== null && isSignedBy(signer.key, verifier.join(verifier.ascii(DOMAIN), act.link), act.signature);
    if (isSignedBy) for (const signer of chain.signers.values()) await findUnsigned(signer, isSigned);
    const isValid = (act, i) => {
      const signer = chain.signers.get(acts[i].installation);
      return !signer.broken.has(acts[i].number) && acts[i].number < signer.unsigned_from;
    };
    evidence.isValid = isValid; // for whoever makes numbers anew
    const account = verifier.account(evidence.acts, isValid);
    const witnesses = verifier.witnessesOf(acts, isValid);
    judgement.links = acts.filter((act) => act.before !== null).length;
    judgement.findings = chainFindings(chain);
    for (const [installation, number] of account.unread) {
      const say = `Cannot judge act ${number} of computer ${installation}: its body is none that this verifier knows.`;
      judgement.findings.push(finding("cannot judge", number, number, say));
    }
    // What an import or an adoption brought may be on records that are not carried, and is left out as a whole then.
    const is_unknown = evidence.partial && acts.some((act) => act.body === null && ["import", "adopt"].includes(act.kind));
    for (const fault of verifier.tableFaults(evidence, account)) {
      if (is_unknown) judgement.cannot.push(`Whether this is right, since what was imported is not in this report: ${fault}.`);
      else judgement.findings.push(finding("altered", 0, 0, `Altered: ${fault}.`));
    }
    if (!isSignedBy) {
      const say = "Cannot judge: signatures not checked: this browser cannot (no Ed25519). The links are judged all the same.";
      judgement.findings.push(finding("cannot judge", 0, 0, say));
    }
    if (!judgement.findings.length) {
      const kinds = (signer) => [...signer.kinds].sort().map(([kind, count]) => `${count} ${kind}`).join(", ");
      const names = [...chain.signers.values()].map((signer) => `${signer.name} (${kinds(signer)})`).join(", ");
      judgement.findings.push(finding("intact", 0, 0, `Intact: what a computer added is linked and signed by ${names}.`));
    }
    judgement.cannot.push("Whose computer signed: compare its name there (`earlid doctor`).");
    const bodiless = acts.filter((act) => act.body === null).length;
    if (bodiless) {
      judgement.cannot.push(`What was said in ${bodiless} acts, of other boards or taken out: their hashes alone are here.`);
    }
    return { judgement, account, witnesses };
  };

  Object.assign(verifier, { judgeActs });
})();
