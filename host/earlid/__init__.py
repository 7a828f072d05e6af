# SPDX-License-Identifier: MIT
"""Earlid. On a host the firmware's package `lid` lies inside this one, where `flash` takes it: no package of its own."""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


class _Firmware:
    """Finds `lid`, and nothing else, in the folder that is put on boards."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [_root()], target) if name == "lid" else None


def _root() -> str:
    from earlid.firmware import root

    return str(root())


_loaded = sys.modules.get("lid")
if _loaded is not None and getattr(_loaded, "__file__", None) != getattr(_Firmware.find_spec("lid"), "origin", ""):
    raise ImportError(f"another package 'lid' is loaded, {_loaded!r}: use Earlid in a process of its own")
sys.meta_path.insert(0, _Firmware)
