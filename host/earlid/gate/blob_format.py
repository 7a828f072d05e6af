# SPDX-License-Identifier: MIT
"""Sizes in a word's blob, for who reads one and who writes one (`blob_writer`, which has the layout)."""

from __future__ import annotations

SUFFIX = ".elww"
MAGIC = b"ELWW"
VERSION = 3
LOOK_VERSION = 4  # of a blob with a look
LOOK = 7  # the kind of its last entry in the table of layers
HEADER_BYTES = 80
LAYER_BYTES = 36
LANES = 16  # outputs or channels that a kernel works on at once
DENSE_LANES = 32  # outputs for which a dense layer loads an activation once
HEADS_BYTES = 64  # where each buffer's newest row is
EXTRA_ROWS = 4  # rows a sliding buffer moves through before its history is copied back
