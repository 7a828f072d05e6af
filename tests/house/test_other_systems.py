# SPDX-License-Identifier: MIT
"""What a computer lacks that is no Linux on x86-64: verbs that need none of it still start, the others say why not."""

from __future__ import annotations

import subprocess
import sys

import pytest
from earlid import cli
from earlid.errors import UserError
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
    monkeypatch.setattr(runner, "has_micropython", lambda: False)
    assert cli.main(["demo"]) == 1
    assert "Linux for x86-64" in capsys.readouterr().err


def test_without_micropython_the_gate_says_where_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "LAUNCH", "import no_micropython_unix")
    with pytest.raises(UserError, match="Linux for x86-64"):
        runner.run_script("mp_hops.py", b"")
