# SPDX-License-Identifier: MIT
"""Earlid. On a host the firmware's package `lid` lies inside this one, where `flash` takes it: no package of its own."""

import sys

TYPE_CHECKING = False  # of `typing`: until `cli` runs, a Ctrl-C is Python's to answer, so little is loaded
if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


class _Firmware:
    """Finds `lid`, and nothing else, in the folder that is put on boards."""

    @staticmethod
    def find_spec(name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None) -> "ModuleSpec | None":
        if name != "lid":
            return None
        from importlib.machinery import PathFinder

        from earlid.firmware import root

        return PathFinder.find_spec(name, [str(root())], target)


_loaded = sys.modules.get("lid")
if _loaded is not None and getattr(_loaded, "__file__", None) != getattr(_Firmware.find_spec("lid"), "origin", ""):
    raise ImportError(f"another package 'lid' is loaded, {_loaded!r}: use Earlid in a process of its own")
sys.meta_path.insert(0, _Firmware)
