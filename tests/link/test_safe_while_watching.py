"""`earlid safe` closes a lid whose port another earlid holds."""

import subprocess
import sys
import time
from pathlib import Path

from earlid.board.watcher import Watcher
from earlid.ledger.location import Location
from earlid.ledger.store import Ledger
from earlid.virtual.board import VirtualBoard

EARLID = str(Path(sys.executable).parent / "earlid")


def test_safe_closes_while_watch_holds_the_port(tmp_path, monkeypatch):
    monkeypatch.setenv("EARLID_RUNTIME", str(tmp_path))
    with VirtualBoard() as board, Ledger(Location(tmp_path / "ledger.sqlite", "")) as ledger:
        board.noise(-66)
        board.run_ms(6000)
        board.run_background(speed=4.0)
        watcher = Watcher(board.serial_port, ledger, lambda happening: None)
        watcher.start()
        try:
            until_s = time.monotonic() + 120
            while not watcher.status.here and time.monotonic() < until_s:
                time.sleep(0.1)
            assert watcher.status.here, watcher.status.trouble
            board.talk(True)  # held: it would stay open for a minute
            board.run_ms(400)
            assert board.rails[1] > 2500
            done = subprocess.run([EARLID, "safe", "-p", board.serial_port], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            board.run_ms(300)
            assert board.rails[1] < 300
        finally:
            watcher.stop()
            watcher.join(10)
            board.pause()
