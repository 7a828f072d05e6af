# SPDX-License-Identifier: MIT
# The chip's first steps: put the board's modules in place of the PC's, mount the flash, then do as the ESP32
# port's main.c does: boot.py, main.py unless a raw REPL is wanted, and on return MicroPython's own REPL.
import gc
import io
import random
import sys
from os import stat as _stat

import bridge
import micropython
import vfs
from adc import Adc
from protocol import ANSWER_HEADER, HELLO_BYTES, OP_HELLO, OP_PHASE, OP_SOFT_RESET, PHASE_CODE, PHASE_REPL


def _install():
    import chip_esp32
    import chip_gc
    import chip_machine
    import chip_os
    import chip_select
    import chip_time

    bridge.call(OP_HELLO, 0, 0, HELLO_BYTES)
    hello = bytes(bridge.answer[ANSWER_HEADER : ANSWER_HEADER + HELLO_BYTES])
    seed = int.from_bytes(hello[8:16], "little")
    chip_machine._cause, chip_machine._rom_cause = hello[1], hello[2]
    chip_machine._id = hello[10:16]
    chip_esp32._read_us = hello[5]
    chip_machine._adc = Adc(hello[3], hello[4] - 1)
    chip_os._seed = hello
    chip_gc._times = int.from_bytes(hello[28:32], "little")
    chip_machine._work_us = [int.from_bytes(hello[at : at + 4], "little") for at in (16, 20, 24)]
    chip_machine._inference = hello[32:].decode().split()
    bridge.seed_noise(seed | 1)
    random.seed(seed & 0x3FFFFFFF)
    for module in (chip_machine, chip_time, chip_esp32, chip_gc, chip_os, chip_select):
        name = module.__name__[5:]
        sys.modules[name] = sys.modules["u" + name] = module
    return hello[0], chip_esp32


def _mount(esp32):
    partition = esp32.Partition.find(esp32.Partition.TYPE_DATA, label="vfs")[0]
    vfs.umount("/")
    try:
        vfs.mount(vfs.VfsLfs2(partition, mtime=False), "/")
    except OSError:
        first = bytearray(4096)
        partition.readblocks(0, first)
        while any(b != 0xFF for b in first):
            print("The filesystem appears to be corrupted.")
            bridge.sleep_us(3000000)
        print("Performing initial setup")
        vfs.VfsLfs2.mkfs(partition)
        vfs.mount(vfs.VfsLfs2(partition, mtime=False), "/")


def _run(name, names):
    try:
        _stat(name)
    except OSError:
        return True
    micropython.kbd_intr(3)  # as the port does for each file
    try:
        execfile(name, names)
        return True
    except SystemExit:
        bridge.send_last(OP_SOFT_RESET)
    except BaseException as error:
        _show(error)
        return False


def _show(error):
    # As the port shows it: without the line that is ours
    text = io.StringIO()
    sys.print_exception(error, text)
    for line in text.getvalue().split("\n")[:-1]:
        if '/start.py", line' not in line:
            print(line)


def start(names):
    names.pop("start", None)
    raw, esp32 = _install()
    _mount(esp32)
    sys.path[:] = ("", ".frozen", "/lib")
    chips = ("chip_machine", "chip_time", "chip_esp32", "chip_gc", "chip_os", "chip_select")
    for name in ("adc", "bridge", "protocol", "start") + chips:  # noqa: RUF005 (MicroPython has no star in a tuple)
        sys.modules.pop(name, None)
    gc.collect()
    bridge.call(OP_PHASE, PHASE_CODE)
    if _run("boot.py", names) and not raw:
        _run("main.py", names)
    bridge.call(OP_PHASE, PHASE_REPL)
