# SPDX-License-Identifier: MIT
# The lid's contact: let go, read back, and the receipt of an opening that waits for the rail to be gone.
from lid import health


class Contact:
    # board: lid.board.Board
    def __init__(self, board):
        self._board = board
        self.rail = health.RailMonitor()
        self.closing = None  # (reason, ms open): the contact is open, the record follows when the rail is gone
        self.rail_mv = 0
        self.live_ms = 0  # of all openings that have ended since the start

    def release(self, reason, open_ms):
        if self._board.guarding:
            self.closing = (reason, open_ms)
            self.rail.drop_ms = 0
            self.live_ms += open_ms
        self._board.release()

    def read_back(self):
        # Once a hop: lid.health's verdict on the rail.
        self.rail_mv = self._board.guarded_mv()
        return self.rail.push(self._board.guarding, self.rail_mv)

    def take_closing(self):
        """(reason, ms open, drop time in ms) of a closing without a record yet, once; None when there is none."""
        closing = self.closing
        if closing:
            self.closing = None
            return closing[0], closing[1], self.rail.drop_ms
        return None
