# SPDX-License-Identifier: MIT
"""Files that are made for a wheel, the same bytes each time: words, completion, man page, bill of materials, index page."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
from importlib import metadata
from pathlib import Path
from typing import Any

LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!\w+:|#)([^)]*)\)")
FORMAT, FORMAT_VERSION = "CycloneDX", "1.6"


def index_page(readme: str, repository: str | None) -> str:
    """README.md as a package index shows it, which has none of the files beside it.

    Args:
        repository: the address of the project's files, as `https://host/owner/name`; without, pictures and links to files
            fall away and their words stay.
    """

    def replaced(match: re.Match[str]) -> str:
        picture, words, target = match.groups()
        if repository:
            kind = "raw" if picture else "blob"
            return f"{picture}[{words}]({repository.rstrip('/')}/{kind}/HEAD/{target})"
        return "" if picture else words

    return re.sub(r"\n{3,}", "\n\n", LINK.sub(replaced, readme))


def words(folder: Path) -> None:
    """The published networks, compiled for the board, and the licence that they come under."""
    from earlid.flash.words import compile_published

    folder.mkdir()
    compile_published(folder)
    source = metadata.distribution("pymicro-wakeword")
    (licence,) = (file for file in source.files or () if file.name == "LICENSE")
    (folder / "LICENSE").write_text(Path(str(source.locate_file(licence))).read_text(encoding="utf-8"), encoding="utf-8")


def shell_files(folder: Path) -> dict[str, str]:
    """Completion of three shells and the man page; returns name -> place below the environment's folder."""
    import shtab
    from argparse_manpage.manpage import Manpage
    from earlid.usage import make_parser
    from earlid.verbs import HELP

    os.environ["COLUMNS"] = "80"  # what argparse wraps at
    parser = make_parser(list(HELP))
    for action in _actions(parser):
        if action.metavar in ("FILE", "FILE|URL", "PATH"):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif str(action.metavar).endswith("DIR"):
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    places = {
        "bash": "share/bash-completion/completions/earlid",
        "zsh": "share/zsh/site-functions/_earlid",
        "fish": "share/fish/vendor_completions.d/earlid.fish",
    }
    for shell in places:
        (folder / shell).write_text(shtab.complete(parser, shell), encoding="utf-8")
    page = Manpage(parser)
    page.date, page.manual = "", "Earlid"
    text = str(page).replace(".SH NAME\nearlid\n", ".SH NAME\nearlid \\- a lid for a microphone's power\n")  # for whatis
    (folder / "man").write_text(text, encoding="utf-8")
    return {**places, "man": "share/man/man1/earlid.1"}


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    inner = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return [*parser._actions, *(one for action in inner for part in action.choices.values() for one in _actions(part))]


def bill_of_materials(path: Path, project: Any, words_folder: Path) -> None:
    """A CycloneDX document: what the wheel holds of others, by its bytes, and what it asks for, by name and bounds.

    Args:
        project: hatchling's core metadata.
    """
    name = f"pkg:pypi/earlid@{project.version}"
    components = []
    for entry in json.loads((words_folder / "words.json").read_text(encoding="utf-8")):
        blob = (words_folder / f"{entry['name']}.elww").read_bytes()
        components.append({
            "type": "machine-learning-model", "bom-ref": f"word:{entry['name']}", "name": entry["name"],
            "description": f"the network for {entry['wake_word']!r}, compiled from the .tflite file of SHA-256 {entry['sha256']}",
            "authors": [{"name": entry["author"]}], "licenses": [{"license": {"id": "Apache-2.0"}}],
            "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(blob).hexdigest()}],
        })  # fmt: skip
    asked: dict[str, dict[str, Any]] = {}
    groups = {"": project.dependencies_complex, **project.optional_dependencies_complex}
    for extra, requirements in groups.items():
        for text, requirement in requirements.items():
            if requirement.name == "earlid":
                continue
            reference = f"pkg:pypi/{requirement.name.lower().replace('_', '-')}"
            known = asked.setdefault(reference, {
                "type": "library", "bom-ref": reference, "name": requirement.name, "purl": reference,
                "scope": "optional" if extra else "required", "properties": [],
            })  # fmt: skip
            known["properties"].append({"name": f"earlid:requires{':' + extra if extra else ''}", "value": text})
    needed = [reference for reference, component in asked.items() if component["scope"] == "required"]
    document = {
        "bomFormat": FORMAT, "specVersion": FORMAT_VERSION, "version": 1,
        "metadata": {
            "component": {
                "type": "application", "bom-ref": name, "name": "earlid", "version": project.version, "purl": name,
                "description": project.description, "licenses": [{"license": {"id": project.license_expression or "MIT"}}],
            },
        },
        "components": [*components, *(asked[reference] for reference in sorted(asked))],
        "dependencies": [{"ref": name, "dependsOn": sorted(needed)}],
    }  # fmt: skip
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
