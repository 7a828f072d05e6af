# SPDX-License-Identifier: MIT
"""The verifier of the page given what nobody should give it: a sentence and the host's exit code, never an exception."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from earlid.cli import main

RUNNER = Path(__file__).with_name("node") / "verify.js"
HEADER = '{"earlid":"ledger","format":3,"board":"ab","name":null,"purges":[],"anchors":[],"labels":[],"clock_points":[]}\n'
END = '{"end":"ab","count":0,"seq":0,"link":""}\n'
RECORD = (
    '{"rec":[1,1,0,"boot","power-on",0,0,5000,3300,3300,0,65535,512,0,"ac6c56502a6d8c5db475305d","1804c48292f32c16"],"at":1}\n'
)
MANY = 1500
FILES = {
    "a bomb of brackets": HEADER + "[" * 2_000_000,
    "a bomb in a record": HEADER + '{"rec":' + "[" * 200_000 + "]" * 200_000 + ',"at":1}\n',
    "a line above 64 MB": HEADER + '{"rec":"' + "a" * (65 << 20) + '","at":1}\n',
    "a text of many escapes": HEADER + '{"rec":"' + '\\"' * (4 << 20) + '","at":1}\n',
    "nothing": "",
    "zeros": "\0" * 100_000,
    "blank lines": HEADER + "\n" * 100_000,
    "no finite number": HEADER + RECORD.replace("5000", "NaN"),
    "a fraction": HEADER + RECORD.replace("5000", "5000.0"),
    "true for a number": HEADER + RECORD.replace('"at":1', '"at":true'),
    "a list for a table's row": HEADER.replace('"labels":[]', '"labels":[[]]'),
    "a text for a table": HEADER.replace('"labels":[]', '"labels":""'),
    "a board twice": (HEADER + END) * 2 + '{"acts":0}\n',
    "a prototype": '{"__proto__":{"earlid":"ledger"}}\n',
    "one record again and again": HEADER + RECORD * MANY + END.replace('"count":0,"seq":0,"link":""', f'"count":{MANY},"seq":1,'
                                  '"link":"ac6c56502a6d8c5db475305d"') + '{"acts":0}\n',
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_hostile_file_is_refused_in_a_sentence(name, tmp_path, capsys):
    path = tmp_path / "hostile.jsonl"
    path.write_text(FILES[name])
    done = subprocess.run(["node", str(RUNNER), str(path)], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    said = json.loads(done.stdout)
    assert isinstance(said, list) or len(said["refused"]) > 10
    assert done.returncode == main(["verify", str(path), "--json"]) != 0
    capsys.readouterr()
