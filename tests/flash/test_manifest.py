# SPDX-License-Identifier: MIT
"""The committed manifest is that of the firmware; a deploy costs at most half of copying the sources."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from earlid import firmware
from earlid.flash import manifest

from tests.flash import bench_deploy, harness


def test_committed_manifest_is_up_to_date() -> None:
    root = firmware.root()
    committed = json.loads((root / manifest.NAME).read_text())
    differences = manifest.compare(committed, manifest.make_manifest(root))
    assert not differences, "run `make firmware` and commit firmware/MANIFEST.json: " + "; ".join(differences)


def test_manifest_check_reports_changed_sources_and_ignores_another_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    harness.small_build(tmp_path, "one")
    monkeypatch.setattr(firmware, "root", lambda: tmp_path)
    assert manifest.main(["--check"]) == 1, "there is none yet"
    assert manifest.main([]) == 0
    assert manifest.main(["--check"]) == 0
    harness.small_build(tmp_path, "two")
    capsys.readouterr()
    assert manifest.main(["--check"]) == 1
    err = capsys.readouterr().err
    assert "firmware/MANIFEST.json is out of date: sources: lid/messages.py" in err
    assert "compiled: xtensawin files lid/start.mpy" in err
    manifest_now = manifest.make_manifest(tmp_path)
    committed = json.loads(json.dumps(manifest_now)) | {"compiler": "MicroPython v1.26"}
    committed["compiled"]["x64"]["files"]["lid/start.mpy"] = "0"
    assert manifest.compare(committed, manifest_now) == []


@pytest.mark.usefixtures("patient")
def test_deploy_sends_at_most_half_of_mpremotes_bytes() -> None:
    # Without a line of 115200 baud; `make bench` has the times.
    mpremote = bench_deploy.measure(bench_deploy.by_mpremote, None)
    earlid = bench_deploy.measure(bench_deploy.by_flash, None)
    assert earlid.sent + earlid.received <= (mpremote.sent + mpremote.received) / 2, (earlid, mpremote)
