// SPDX-License-Identifier: MIT
// Judges evidence as a whole: the acts, then each board's chain, then whose the typed anchor codes are.
(() => {
  "use strict";
  const verifier = (globalThis.earlidVerifier ??= {});

  const refusal = (code, say) => ({
    board: "", records: 0, links: 0, head: 0, anchor: "", cannot: [], refused: code,
    findings: [{ verdict: code === 4 ? "altered" : "cannot judge", first: 0, last: 0, say }],
  });

  const byPlace = (one, other) => one.boot_from - other.boot_from || one.seq_from - other.seq_from;

  // The purges that a walk of the board meets; in a report, of which a part is here, those around its records.
  const purgesOf = (board, account) => {
    const purges = [...(account ? account.purges : board.tables.purges)].sort(byPlace);
    return board.before ? purges.filter((purge) => purge.seq_to > board.before.seq) : purges;
  };

  const anchorsOf = (board, account) => {
    const anchors = new Map(board.tables.anchors.map((row) => [`${row.boot}:${row.seq}`, row.link]));
    for (const [at, link] of account?.anchors ?? []) anchors.set(at, link);
    return anchors;
  };

  // Judgements of the boards in their order, and a last one, of board "", of the acts. One of what cannot be judged at all has
  // `refused`: 2 for what is no export or no code, 4 for a damaged one. Options: {anchors: [code...], onProgress(done, total)}.
  const verify = async (evidence, { anchors = [], onProgress } = {}) => {
    try {
      return await judge(evidence, anchors, onProgress);
    } catch (error) {
      return [refusal(4, `This verifier failed on it (${error?.message}): judge it by another.`)];
    }
  };

  const judge = async (evidence, anchors, onProgress) => {
    if (evidence.refused) return [refusal(evidence.refused.code, evidence.refused.say)];
    if (!globalThis.crypto?.subtle) return [refusal(2, "This browser gives the page no cryptography: open it as a file.")];
    const parsed = anchors.map(verifier.parseCode);
    const mistyped = anchors.find((_, i) => parsed[i] === null);
    if (mistyped !== undefined) return [refusal(2, `"${String(mistyped).slice(0, 40)}" is no anchor code, or was mistyped.`)];
    const typed = [...new Map(parsed.map((code) => [verifier.makeCode(code.seq, code.link), code])).values()];
    const total = evidence.boards.reduce((sum, board) => sum + board.slots.length / 64, 2 * evidence.acts.length);
    let done = 0;
    const onStep = (count) => {
      done += count;
      onProgress?.(Math.min(Math.round(done), total), total);
    };
    const { judgement, account, witnesses } = await verifier.judgeActs(evidence, onStep);
    const walks = [];
    for (const board of evidence.boards) {
      const said = account ? account.get(board.board) ?? verifier.NOTHING_SAID : null;
      const seen = witnesses.get(board.board) ?? [];
      const beside = { purges: purgesOf(board, said), anchors: anchorsOf(board, said), witnesses: seen };
      walks.push(await verifier.walkBoard(board, beside, typed, onStep));
    }
    const strays = walks.length > 1 ? giveCodesToTheirBoards(walks, typed) : [];
    onProgress?.(total, total);
    const judgements = walks.map(verifier.judgementOf);
    const isSigned = witnesses.size ? await verifier.signatureChecker() : null;
    for (const [i, walk] of walks.entries()) {
      judgements[i].witnesses = await verifier.judgeWitnesses(walk, witnesses.get(walk.board) ?? [], isSigned);
    }
    if (evidence.acts.length || walks.some((walk) => walk.records)) judgements.push(judgement);
    for (const { seq, link } of strays) {
      judgements.push(refusal(2, `The anchor code ${verifier.makeCode(seq, link)} fits no board here.`));
    }
    return judgements;
  };

  // Each code counts for the boards that it fits; returns those that fit none.
  const giveCodesToTheirBoards = (walks, typed) => {
    const strays = typed.filter((_, i) => !walks.some((walk) => walk.typed[i].fits));
    for (const walk of walks) walk.typed = walk.typed.filter((code) => code.fits);
    return strays;
  };

  // The exit code that `earlid verify` has: 0 intact, 4 broken, 1 cannot be judged, 2 no export or no code.
  const exitCode = (judgements) => {
    const refused = judgements.map((judgement) => judgement.refused ?? 0).filter(Boolean);
    if (refused.length) return Math.max(...refused);
    const verdicts = new Set(judgements.flatMap((judgement) => judgement.findings.map((found) => found.verdict)));
    if (!verdicts.size) return 1;
    verdicts.delete("intact");
    if (!verdicts.size) return 0;
    return verdicts.size === 1 && verdicts.has("cannot judge") ? 1 : 4;
  };

  Object.assign(verifier, { verify, exitCode });
})();
