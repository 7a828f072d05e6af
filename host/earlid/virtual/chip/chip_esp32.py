# SPDX-License-Identifier: MIT
# `esp32` as far as a file system needs it: the partition that holds it, with NOR flash behind it.
import bridge
from micropython import const
from protocol import FLASH_BLOCK, FLASH_FD, MAX_REQUEST_PAYLOAD, OP_FLASH_ERASE, OP_FLASH_WRITE

_VFS_ADDRESS = const(0x200000)
_VFS_BYTES = const(0x200000)
_CACHED = const(4)

_cells = open(FLASH_FD, "rb")  # what the simulation writes there is read without asking it: a start reads a thousand times
_read_us = 0  # what reading a block takes


def _check():
    code = bridge.status()
    if code:
        raise OSError(code, "ESP_ERR_FLASH_OP_FAIL")


class Partition:
    TYPE_APP = 0
    TYPE_DATA = 1
    BOOT = 0
    RUNNING = 1

    def __init__(self, label, block_size=FLASH_BLOCK):
        if label != "vfs":
            raise OSError(2)
        self._block_size = block_size
        # Reading one of the last few blocks again takes no time: the file system asks for 32 to 128 bytes, in turn from several
        self._cached = [-1] * _CACHED
        self._oldest = 0

    @staticmethod
    def find(type=0, subtype=0xFF, label=None, block_size=FLASH_BLOCK):
        if type == Partition.TYPE_DATA and subtype in (0xFF, 0x81) and label in (None, "vfs"):
            return [Partition("vfs", block_size)]
        return []

    def info(self):
        return (1, 0x81, _VFS_ADDRESS, _VFS_BYTES, "vfs", False)

    def _address(self, block, offset, length):
        address = block * self._block_size + offset
        if address < 0 or address + length > _VFS_BYTES:
            raise OSError(-0x102, "ESP_ERR_INVALID_ARG")
        return address

    def readblocks(self, block, buf, offset=0):
        length = len(buf)
        address = self._address(block, offset, length)
        done = 0
        while done < length:
            page = (address + done) // FLASH_BLOCK
            for i in range(_CACHED):
                if self._cached[i] == page:
                    break
            else:
                i = self._oldest
                self._oldest = (i + 1) % _CACHED
                bridge.spend(_read_us)
                self._cached[i] = page
            done += FLASH_BLOCK - (address + done) % FLASH_BLOCK
        _cells.seek(address)
        _cells.readinto(buf)

    def _invalidate(self, address, length):
        for i in range(_CACHED):
            if address < (self._cached[i] + 1) * FLASH_BLOCK and self._cached[i] * FLASH_BLOCK < address + length:
                self._cached[i] = -1

    def _erase(self, address, length):
        self._invalidate(address, length)
        bridge.call(OP_FLASH_ERASE, address, length)
        _check()

    def writeblocks(self, block, buf, offset=None):
        length = len(buf)
        address = self._address(block, offset or 0, length)
        if offset is None:
            self._erase(address, length)
        self._invalidate(address, length)
        done = 0
        while done < length:
            some = min(length - done, MAX_REQUEST_PAYLOAD)
            bridge.call(OP_FLASH_WRITE, address + done, some, 0, buf, done, some)
            _check()
            done += some

    def ioctl(self, op, arg):
        if op in (1, 2, 3):
            return 0
        if op == 4:
            return _VFS_BYTES // self._block_size
        if op == 5:
            return self._block_size
        if op == 6:
            if self._block_size != FLASH_BLOCK:
                return -22
            self._erase(self._address(arg, 0, FLASH_BLOCK), FLASH_BLOCK)
            return 0
        return None
