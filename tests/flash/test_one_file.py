# SPDX-License-Identifier: MIT
"""The one file: the same content as a deploy, where MicroPython looks for it, and nothing else."""

from __future__ import annotations

import pytest
from earlid.flash import content, one_file
from earlid.flash.firmware_build import FirmwareBuild

from tests.flash import harness, release_image

SEED = 17


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> FirmwareBuild:
    return harness.small_build(tmp_path_factory.mktemp("source"), "one")


def test_one_file_holds_the_release_and_the_files_where_micropython_looks(build: FirmwareBuild) -> None:
    release = release_image.release()
    files = content.files(build, harness.fake_model(), b"{}")
    data = one_file.make(release, files)
    assert len(data) == 4 << 20
    assert data[:0x1000] == b"\xff" * 0x1000
    assert data[0x1000 : 0x1000 + len(release.data)] == release.data
    assert set(data[0x1000 + len(release.data) : 0x200000]) == {0xFF}
    found = one_file.inspect(data)
    assert found.files == files
    assert found.layout.version == "1.26.1"
    assert [(row.label, row.offset, row.end) for row in found.layout.partitions][-1] == ("vfs", 0x200000, 0x400000)
