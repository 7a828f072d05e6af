# SPDX-License-Identifier: MIT
"""Hooks of hatchling: the package index's page from README.md, and into a wheel what `made` makes."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
import made  # noqa: E402


class Page(MetadataHookInterface):
    """The long description."""

    def update(self, metadata: dict[str, Any]) -> None:
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        page = made.index_page(text, metadata.get("urls", {}).get("Repository"))
        metadata["readme"] = {"content-type": "text/markdown", "text": page}


class Files(BuildHookInterface):
    """Published words, completion, man page, bill of materials."""

    PLUGIN_NAME = "earlid"
    _folder: tempfile.TemporaryDirectory | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version != "standard":  # a checkout makes them when they are asked for
            return
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        made.words(folder / "words")
        build_data["force_include"][str(folder / "words")] = "earlid/words"
        for name, place in made.shell_files(folder).items():
            build_data["shared_data"][str(folder / name)] = place
        made.bill_of_materials(folder / "earlid.cdx.json", self.metadata.core, folder / "words")
        build_data["sbom_files"].append(str(folder / "earlid.cdx.json"))

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if self._folder:
            self._folder.cleanup()
