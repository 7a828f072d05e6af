# SPDX-License-Identifier: MIT
# Runs on MicroPython: appends records to the journal in a flash image, as a board would over months. argv: image, count.
# Prints the number of the last, the key before the first, its epoch, and the epoch now.
import os
import sys

import vfs
from lid import files
from lid.journal import Journal
from lid.segments import Segments

BLOCK = 4096


class Image:
    # A flash image file as a block device, and as lid.segments wants its flash.
    def __init__(self, path):
        self._file = open(path, "r+b")  # noqa: SIM115 (for the whole run)
        self.block_count = os.stat(path)[6] // BLOCK

    def readblocks(self, block, buffer, offset=0):
        self._file.seek(block * BLOCK + offset)
        self._file.readinto(buffer)

    def writeblocks(self, block, data, offset=None):
        self._file.seek(block * BLOCK + (offset or 0))
        self._file.write(data)

    def ioctl(self, op, block):
        if op == 4:
            return self.block_count
        if op == 5:
            return BLOCK
        if op == 6:
            self.writeblocks(block, b"\xff" * BLOCK)
        return 0

    def read(self, block, offset, buffer):
        self.readblocks(block, buffer, offset)

    def program(self, block, offset, data):
        self.writeblocks(block, data, offset)


image = Image(sys.argv[1])
vfs.umount("/")
vfs.mount(vfs.VfsLfs2(image), "/")
os.chdir("/")
board, _ = files.load_identity(os.urandom)
journal = Journal(board, Segments(image, lambda: None), os.urandom)
first_key, first_epoch = journal.key, journal.epoch
for n in range(int(sys.argv[2])):
    is_open = n % 2 == 0
    if is_open and n % 500 == 0:
        journal.boot += 1
    journal.append(
        n * 60000, "open" if is_open else "close", "word" if is_open else "timeout", n % 256, 0, 3000, (3300, 3300),
        (0, 0), 8000, 80,
    )  # fmt: skip
    if journal.needs_room():
        journal.make_room(lambda count, first: None)
vfs.umount("/")
print("filled", journal.seq, first_key.hex(), first_epoch, journal.epoch)
