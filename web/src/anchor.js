// SPDX-License-Identifier: MIT
// Anchor codes, as earlid/ledger/anchor_code.py makes and reads them: a record's number and the first bits of its link.
import { tables } from "../../build/web-tables.mjs";

const { digits, linkBits } = tables.anchor;

export function anchorCode(seq, link) {
  const places = (number, least) => {
    const found = [];
    for (let left = BigInt(number); left || found.length < least; left >>= 5n) found.unshift(Number(left & 31n));
    return found;
  };
  const number = places(seq, 1);
  const head = places(`0x${link.slice(0, linkBits / 4)}`, linkBits / 5);
  let check = 0;
  for (const place of [...number, ...head]) {
    check = (check ^ place) << 1;
    if (check & 32) check ^= 0b100101; // x^5 + x^2 + 1
  }
  const text = [...number, ...head, check].map((place) => digits[place]).join("");
  return [text.slice(0, number.length), text.slice(number.length, -5), text.slice(-5, -1), text.at(-1)].join("-");
}
