# SPDX-License-Identifier: MIT
"""Damaged model files: every one ends in an error that says what is wrong, on the host and on the board."""

from __future__ import annotations

import functools
import json
import shutil
import struct
import zlib
from pathlib import Path

import networks
import pytest
from earlid import cli
from earlid.errors import UserError
from earlid.gate import blob_writer, graph, models, tflite
from earlid.gate.tflite import ModelError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.outputs import parse_lines, parse_output

SOURCE = models.builtin_dir() / "alexa.tflite"


@functools.cache
def source() -> bytes:
    return SOURCE.read_bytes()


@functools.cache
def blob() -> bytes:
    return models.load("alexa").blob


def compile_file(data: bytes) -> bytes:
    return blob_writer.encode(graph.build_network(tflite.read(data)), "word", [], 5, 1000, bytes(32))


edits = st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=6)


def edited(data: bytes, changes: list[tuple[int, int]]) -> bytearray:
    changed = bytearray(data)
    for at, value in changes:
        changed[at % len(changed)] = value
    return changed


# -- on the host -------------------------------------------------------------------------------------------------------


@settings(max_examples=120)
@given(st.integers(0, 56000))
def test_truncated_model_file_is_refused(length: int) -> None:
    with pytest.raises(ModelError):
        compile_file(source()[: min(length, len(source()) - 1)])


@settings(max_examples=250)
@given(edits, st.booleans())
def test_altered_model_file_is_refused_or_compiles(changes: list[tuple[int, int]], structure: bool) -> None:
    # the structure lies behind and between the weights: half of the edits go to the last quarter of the file
    data = source()
    if structure:
        changes = [(len(data) - 1 - at % (len(data) // 4), value) for at, value in changes]
    try:
        made = compile_file(bytes(edited(data, changes)))
    except ModelError:
        return
    assert made[:4] == b"ELWW"


def test_truncated_model_file_error_counts_missing_bytes() -> None:
    with pytest.raises(ModelError, match=r"\d+ bytes missing"):
        tflite.read(source()[:-40])
    with pytest.raises(ModelError, match="3 bytes missing of its first 8"):
        tflite.read(source()[:5])
    with pytest.raises(ModelError, match="not b'TFL3'"):
        tflite.read(b"RIFF" * 100)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": 1}, "manifest version 1, version 2 is needed"),
        ({"type": "esp"}, "not a microWakeWord manifest"),
        ({"micro": {"probability_cutoff": "high", "sliding_window_size": 5}}, "micro.probability_cutoff is 'high'"),
        ({"micro": {"probability_cutoff": 1.5, "sliding_window_size": 5}}, "probability_cutoff 1.5"),
        ({"micro": {"probability_cutoff": 0.5, "sliding_window_size": 0}}, "sliding_window_size 0"),
        ({"micro": {"probability_cutoff": 0.5, "sliding_window_size": 5, "feature_step_size": 20}}, "feature_step_size 20"),
        ({"trained_languages": "en"}, "trained_languages"),
    ],
)
def test_wrong_manifest_error_names_the_entry(tmp_path: Path, change: dict[str, object], says: str) -> None:
    manifest = json.loads(SOURCE.with_suffix(".json").read_text())
    path = tmp_path / "word.json"
    path.write_text(json.dumps({**manifest, **change}))
    shutil.copy(SOURCE, tmp_path / "alexa.tflite")
    with pytest.raises(UserError, match=says):
        models.load(str(path))


def test_missing_model_file_error_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model 'alexis'"):
        models.load("alexis")
    with pytest.raises(UserError, match="no such file"):
        models.load(str(tmp_path / "word.tflite"))
    shutil.copy(SOURCE, tmp_path / "word.tflite")
    with pytest.raises(UserError, match=r"its manifest word\.json is missing"):
        models.load(str(tmp_path / "word.tflite"))
    (tmp_path / "word.json").write_text("{")
    with pytest.raises(UserError, match="not JSON"):
        models.load(str(tmp_path / "word.tflite"))


@pytest.mark.parametrize(("cutoff", "window", "total"), [(0.9, 5, 1152), (0.95, 5, 1216), (0.97, 5, 1241), (0.5, 1, 128)])
def test_cutoff_sum_equals_pymicro_wakeword(cutoff: float, window: int, total: int) -> None:
    """Its mean of output bytes / 256 must be above the cutoff, in float arithmetic."""
    assert models.cutoff_sum(cutoff, window) == total
    assert not total / 256 / window > cutoff
    assert (total + 1) / 256 / window > cutoff


def test_model_import_writes_the_blob(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "word.elww"
    assert cli.main(["model", "import", str(SOURCE), "--out", str(out)]) == 0
    assert out.read_bytes() == blob()
    assert list(tmp_path.iterdir()) == [out]
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "'Alexa'" in shown.err
    assert cli.main(["model", "import", str(tmp_path / "gone.tflite")]) == 2
    assert cli.main(["model", "import", str(SOURCE), "--out", str(tmp_path / "no" / "folder")]) == 1
    assert "folder" in capsys.readouterr().err


def test_model_list_and_show_print_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["model", "list", "--json"]) == 0
    entries = parse_lines("model list", capsys.readouterr().out)
    assert [entry["name"] for entry in entries] == models.builtin_names()
    for entry in entries:
        look = models.load(entry["name"]).look
        assert (entry["look"] is None) == (look is None)
        assert look is None or look.cutoff == entry["look"]["cutoff_q8"] * look.scale
    assert cli.main(["model", "show", "alexa", "--json"]) == 0
    shown = parse_output("model show", capsys.readouterr().out)
    assert shown["macs"] == sum(layer["macs"] for layer in shown["layers"]) == 23968
    assert cli.main(["model", "list"]) == cli.main(["model", "show", "alexa"]) == 0
    listed, told = capsys.readouterr().out.split("name  alexa")
    assert f"{shown['look']['cutoff_q8']} (look)" in listed
    assert "hey_mycroft" in listed
    assert f"opens above {shown['look']['cutoff_q8']} of 255" in told


# -- on the board ------------------------------------------------------------------------------------------------------


def verdicts(blobs: list[bytes]) -> list[str]:
    data = b"".join(struct.pack("<I", len(item)) + bytes(item) for item in blobs)
    lines = networks.micropython("mp_blobs.py", data).decode().splitlines()
    assert len(lines) == len(blobs)
    return lines


def with_checksum(data: bytearray) -> bytes:
    """As somebody would write it who means harm, or has another blob_writer."""
    struct.pack_into("<I", data, 8, len(data))
    struct.pack_into("<I", data, 12, zlib.crc32(data[16:]))
    return bytes(data)


@settings(max_examples=5, suppress_health_check=list(HealthCheck))
@given(st.lists(edits, min_size=20, max_size=20))
def test_altered_blob_is_refused(many: list[list[tuple[int, int]]]) -> None:
    blobs = [bytes(edited(blob(), changes)) for changes in many]
    whole = verdicts([blob()])[0]
    for data, line in zip(blobs, verdicts(blobs), strict=True):
        assert line == whole if data == blob() else line.startswith("ValueError")


@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(st.lists(edits, min_size=30, max_size=30))
def test_altered_blob_with_valid_checksum_never_crashes(many: list[list[tuple[int, int]]]) -> None:
    # edits aim at the header and the tables of buffers and layers, where a number could send a kernel astray
    aimed = [[(16 + at % 520, value) for at, value in changes] for changes in many]
    for line in verdicts([with_checksum(edited(blob(), changes)) for changes in aimed]):
        assert line.startswith(("ran", "ValueError"))


def test_blob_error_names_the_damage() -> None:
    other_version = bytearray(blob())
    other_version[4] = 9
    cases = {
        b"": "80 bytes missing of the header",
        blob()[:-10]: "10 missing",
        bytes(other_version): "version 9",
        b"TFL3" + blob()[4:]: "not a network file",
        blob()[:-1] + bytes([blob()[-1] ^ 1]): "checksum",
    }
    for line, says in zip(verdicts(list(cases)), cases.values(), strict=True):
        assert says in line, line
