# SPDX-License-Identifier: MIT
"""What a computer lacks that is no Linux on x86-64: verbs that need none of it still start, the others say why not."""

from __future__ import annotations

import subprocess
import sys

import pytest
from earlid import cli, extras
from earlid.gate import runner

# Imports everything but the virtual board, as on a system without these modules. The standard library and other packages
# may still have them: pyserial chooses its own by the system.
WITHOUT_UNIX = """
import builtins, importlib, pkgutil
import earlid
LACKING = {"fcntl", "termios", "tty", "pty", "grp", "pwd", "resource", "micropython_unix", "micropython_run"}
real = builtins.__import__
def limited(name, globals=None, *more):
    if name in LACKING and (globals or {}).get("__name__", "").startswith("earlid"):
        raise ImportError(name)
    return real(name, globals, *more)
builtins.__import__ = limited
count = 0
for module in pkgutil.walk_packages(earlid.__path__, "earlid."):
    if not module.name.startswith(("earlid.virtual", "earlid.demo")) and ".mp_" not in module.name:
        importlib.import_module(module.name)
        count += 1
print(count)
"""


def test_all_but_the_virtual_board_starts_without_unix() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_UNIX], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 80


def test_without_micropython_the_demo_says_where_it_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(extras.platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(runner, "find_spec", lambda name: None)
    assert cli.main(["demo"]) == 1
    assert "Linux on x86-64" in capsys.readouterr().err


def test_without_micropython_the_gate_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "LAUNCH", "import micropython_unix_that_is_not_there")
    with pytest.raises(ModuleNotFoundError) as missing:
        runner.run_script("mp_hops.py", b"")
    monkeypatch.setattr(extras.platform, "machine", lambda: "aarch64")
    assert "Linux on x86-64" in str(extras.missing(missing.value.name, "score"))
