# SPDX-License-Identifier: MIT
"""An edit of the code makes anew what it can have changed: the digest of a stage's code follows imports, and no further."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from earlid import firmware
from earlid.evaluate import measure
from earlid.gate import code_digest
from earlid.train import course


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the host's packages, in which the digest looks."""
    copy = tmp_path / "host"
    shutil.copytree(code_digest.HOST / "earlid", copy / "earlid", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code_digest, "HOST", copy)
    return copy


def digests() -> dict[str, str]:
    found = {stage: code_digest.code_digest(*modules) for stage, modules in course.MADE_BY.items()}
    return {**found, "evaluate": measure.code_digest.__wrapped__()}


@pytest.mark.parametrize(
    ("edited", "stages"),
    [
        ("sound/mixing.py", {"columns", "fit", "judge", "evaluate"}),
        ("gate/mp_features.py", {"columns", "fit", "judge", "evaluate"}),  # run by MicroPython, imported by nobody
        ("gate/blob_writer.py", {"columns", "judge", "evaluate"}),  # takes are heard by a network
        ("errors.py", set()),
        ("accuracy/curve.py", {"judge", "evaluate"}),
        ("train/scenes.py", {"columns", "fit", "judge"}),
        ("train/take_quality.py", {"columns", "judge"}),
        ("train/fit.py", {"fit", "judge"}),  # imported inside a function
        ("train/judge.py", {"judge"}),
        ("train/course.py", {"judge"}),
        ("train/recording.py", set()),
    ],
)
def test_edit_changes_the_digest_of_what_it_reaches(host: Path, edited: str, stages: set[str]) -> None:
    before = digests()
    with (host / "earlid" / edited).open("a") as file:
        file.write("\n")
    after = digests()
    assert {stage for stage in after if after[stage] != before[stage]} == stages


def test_edit_of_the_firmwares_gate_makes_columns_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(firmware.root() / "lid" / "gate", tmp_path / "lid" / "gate")
    monkeypatch.setattr(firmware, "root", lambda: tmp_path)
    before = digests()["columns"]
    (tmp_path / "lid" / "gate" / "new.py").write_text("")
    assert digests()["columns"] != before
