# SPDX-License-Identifier: MIT
# Runs on MicroPython: the sealing key's steps and the small files on a littlefs over NOR flash.
# argv: seed, mode (ratchet|migration|files), kind of the cut. Prints one line of counts; an AssertionError says where.
import binascii
import json
import os
import random
import sys

from flash_power_cuts import Flash, Nor, PowerCut, append, check_chain, fresh, lost_recorder, mount, random_bytes, start
from lid import config, files, record, segments
from lid import migration as lid_migration
from lid.journal import Journal
from lid.segments import Segments
from nor_cells import BLOCK

BOARD = "0123456789abcdef"


def check_keys(journal, cells, where):
    # Of all keys, only the one in force is anywhere, whole or in part.
    key = random_bytes(32)
    for epoch in range(journal.epoch):
        for form in (key, binascii.hexlify(key)):
            assert bytes(cells.content).find(form) < 0, (where, "key of epoch", epoch)
        key = record.next_key(key)
    assert key == journal.key, (where, "the key in force")
    found = journal._segments
    current = found._blocks[found.ids[found.current]]
    spare = found._blocks[found.ids[-1]] if found.has_spare() else ()  # a step that a cut ended goes on there one day
    for block in range(len(cells.content) // BLOCK):
        slot = bytes(cells.content[block * BLOCK + 64 : block * BLOCK + 128])
        if slot[:32] == key:
            assert block in current[:2], (where, "the key elsewhere")
        elif block not in spare and cells.content[block * BLOCK + 32 :][:4] == b"EJS1" and not record.slot_is_whole(slot):
            assert slot in (bytes(64), b"\xff" * 64), (where, "a remnant in block", block)


def near_the_end():
    nor = Nor(fresh(96), 0)
    journal = start(nor)
    while journal._segments.used < segments.SLOTS - 6 or not journal._segments.has_spare():
        append(journal, [], journal.seq)
        if journal.needs_room():
            journal.make_room(lost_recorder(journal, []))
    return nor.cells


def ratchet(kind):
    base = near_the_end()
    cut_at = 0
    while True:
        cut_at += 1
        cells, appended = base.copy(), []
        nor = Nor(cells, cut_at, kind)
        try:
            journal = start(nor)
            for n in range(9):
                append(journal, appended, n)
        except (PowerCut, OSError, segments.FlashError):
            assert nor.dead
        where = (kind, cut_at)
        journal = start(Nor(cells, 0))
        check_chain(journal, where)
        for number, slot in appended:
            assert journal.find(number) == slot, (where, "record gone", number)
        check_keys(journal, cells, where)
        for n in range(9):
            append(journal, [], n)
        assert journal.epoch == 1, (where, "no step")
        check_keys(journal, cells, where)
        check_chain(start(Nor(cells, 0)), where)
        if not nor.dead:
            print("cuts", cut_at - 1)
            return


def old_tree(count):
    # As firmware 0.1 left it: the key in /identity.json, records from a segment's first slot on, plain numbers.
    nor = Nor(fresh(96), 0)
    mount(nor)
    key, link = random_bytes(32), record.genesis(BOARD)
    text = json.dumps({"board": BOARD, "key": binascii.hexlify(key).decode()})
    files.write_atomically("/identity.json", text.encode())
    for n in range(150):  # the directory's blocks change, and one with the key becomes free
        files.write_atomically("/starts", b"%d" % (n % 3))
    files.write_atomically("/baseline", b"140")
    old = Segments(Flash(nor), lambda: None)
    for _ in range(count // segments.SLOTS + 2):
        assert old.make_spare()
    files.write_atomically("/journal/acked", b"%d" % (count // 2))
    slots = []
    for n in range(count):
        fields = (n + 1, 1, n * 10, "mute", "", 0, 0, 3000, 3300, 3300, 0, 0, 0, 0)
        slot, link = record.seal(key, link, record.make_body(fields))
        assert old.program(n // segments.SLOTS, n % segments.SLOTS, slot)
        slots.append(slot)
    assert bytes(nor.cells.content).find(binascii.hexlify(key)) > 0
    return nor.cells, slots


def open_old(nor):
    # As lid.start does.
    mount(nor)
    old, known, key = None, "", None
    try:
        os.stat(files.OLD_IDENTITY)
        old = lid_migration
        known, key = old.read()
    except OSError:
        if nor.dead:
            raise
    board, _ = files.load_identity(random_bytes, known)
    flash = Flash(nor)
    journal = Journal(board, Segments(flash, lambda: None), random_bytes, key)
    journal.boot += 1
    if old:
        old.finish(journal.needs_room, journal.make_room, journal.append, flash.read, flash.program, flash.block_count, bool)
    return journal


def migration(kind):
    cuts = 0
    for count in (0, 64, 300, 1008):
        base, slots = old_tree(count)
        nor = Nor(base.copy(), 0)
        open_old(nor)
        writes = nor.writes
        step = 1 if count == 300 else writes // 8
        for cut_at in range(1, writes + 1, step):
            if count == 300 and 25 < cut_at < writes - 20 and cut_at % 24:
                continue  # the new segment's many blocks
            cells, where = base.copy(), (count, cut_at)
            nor = Nor(cells, cut_at, kind)
            try:
                open_old(nor)
            except (PowerCut, OSError, segments.FlashError):
                assert nor.dead
            cuts += nor.dead
            for _ in range(2):
                journal = open_old(Nor(cells, 0))
            assert (journal.board, journal.seq, journal.key_lost) == (BOARD, count, False), where
            for n in range(count):
                assert journal.find(n + 1) == slots[n], (where, "record gone", n + 1)
            assert (journal.epoch, journal.acked) == (1, count // 2), where
            assert files.load_number(files.BASELINE) == 140, where
            append(journal, [], 1)
            check_keys(journal, cells, where)
            check_chain(journal, where)
            assert "identity.json" not in os.listdir("/"), where
    print("cuts", cuts)


def small_files():
    # One flipped bit in any byte of any copy, and the file is what it was, in both copies.
    mount(Nor(fresh(96), 0))
    os.mkdir("/journal")
    files.save_config(config.defaults(), config.check({"open_ms": 6000}), bool)
    files.load_identity(random_bytes)
    files.count_start(False)
    files.save_number(files.BASELINE, 140)
    files.save_number(files.ACKED, 1234)
    flips = 0
    for path in files._FILES:
        kept = files.load(path)
        for copy in (path, path + "2"):
            for at in range(len(kept)):
                damaged = bytearray(kept)
                damaged[at] ^= 1 << random.getrandbits(3)
                with open(copy, "wb") as file:
                    file.write(damaged)
                del files.repaired[:]
                assert files.load(path) == kept, (copy, at)
                assert files.repaired == [files._FILES.index(path)], (copy, at)
                assert files.read_or_none(copy) == kept, (copy, at)
                flips += 1
        os.remove(path + "2")
        assert files.load(path) == kept
        assert files.read_or_none(path + "2") == kept
        with open(path, "wb") as file:
            file.write(b"?")
        with open(path + "2", "wb") as file:
            file.write(b"?")
        try:
            files.load(path)
        except ValueError:
            pass
        else:
            raise AssertionError((path, "damaged twice"))
    print("flips", flips)


random.seed(int(sys.argv[1]))
if sys.argv[2] == "files":
    small_files()
elif sys.argv[2] == "migration":
    migration(sys.argv[3])
else:
    ratchet(sys.argv[3])
