# SPDX-License-Identifier: MIT
"""The key that seals the journal moves forward with every segment, and no earlier one is left anywhere in flash."""

import hashlib

from lid import record

# K_0, K_1, K_2 and K_100 of two boards.
VECTORS = (
    (
        bytes(32),
        {
            1: "80c6b1dd256921d3cd2c77ea7f146c5d5b45314d87db3c4d6c564a1877b26fa9",
            2: "b8ed704ac3e4bf4bb4c43ae6ee8ecae44a36304cad3e066a0d55079cedd05c57",
            100: "87ce917d453104eee39e6f388ba38e1fd093431dd34c66c35e96578365102422",
        },
    ),
    (
        bytes(range(32)),
        {
            1: "ed9f302d654da9966f83e2ea77e19d8c575c46f7bc812063bbf249a6cbc7c325",
            2: "882eea8f0a62e01925eb51de99f908bef9fee14a828e6daa984103d7c51d13aa",
            100: "a3a2d82b078400132eadcc56c21dd15b767cc9b607ce76ee97f17d2e9233ec9b",
        },
    ),
)


def test_next_key_is_that_of_the_vectors():
    for key, known in VECTORS:
        for epoch in range(1, 101):
            key = record.next_key(key)
            assert known.get(epoch, key.hex()) == key.hex(), f"epoch {epoch}"
    assert record.next_key(bytes(32)) == hashlib.sha256(b"earlid ratchet 1 " + bytes(32)).digest()
