# SPDX-License-Identifier: MIT
"""A release: a folder of files, `SHA256SUMS` over all of them, and a signature over that."""
