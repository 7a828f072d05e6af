# SPDX-License-Identifier: MIT
# Runs on MicroPython: the journal, configuration and identity on a real littlefs over NOR flash that loses power at a
# chosen write.
# argv: seed, mode (every|random|ring|wrap|planted), first, last, step. Prints one line of counts; an AssertionError says
# at which write.
import gc
import os
import random
import sys

import micropython
import vfs
from lid import config, files, record, segments
from lid.journal import Journal
from lid.segments import Segments

BLOCK = 4096


class PowerCut(Exception):
    pass


@micropython.viper
def clear_bits(content: ptr8, at: int, data: ptr8, count: int):  # noqa: F821 (types of viper)
    for i in range(count):
        content[at + i] = content[at + i] & data[i]


@micropython.viper
def copy_out(content: ptr8, at: int, buffer: ptr8, count: int):  # noqa: F821
    for i in range(count):
        buffer[i] = content[at + i]


class Nor:
    # Programming only clears bits. After `cut_at` writes the power goes: the last one torn in the middle, and nothing
    # answers any more.
    def __init__(self, content, cut_at, torn):
        self.content = content
        self.writes = 0
        self.cut_at = cut_at
        self.torn = torn
        self.dead = False

    def _write(self, at, data):
        self.writes += 1
        count = len(data)
        if self.writes == self.cut_at:
            self.dead = True
            count = int(count * self.torn)
        clear_bits(self.content, at, data, count)
        if self.dead:
            raise PowerCut()

    def readblocks(self, block, buffer, offset=0):
        if self.dead:
            return -5
        copy_out(self.content, block * BLOCK + offset, buffer, len(buffer))

    def writeblocks(self, block, data, offset=None):
        if self.dead:  # a file's finaliser, with the heap locked: no exception can be made
            return -5
        if offset is None:
            self.ioctl(6, block)
            offset = 0
        self._write(block * BLOCK + offset, data)

    def ioctl(self, op, block):
        if op == 4:
            return len(self.content) // BLOCK
        if op == 5:
            return BLOCK
        if op == 6:
            if self.dead:
                return -5
            self.writes += 1
            if self.writes == self.cut_at:
                # An erase cut short leaves anything: here, half the sector.
                self.dead = True
                self.content[block * BLOCK : block * BLOCK + BLOCK // 2] = b"\xff" * (BLOCK // 2)
                raise PowerCut()
            self.content[block * BLOCK : (block + 1) * BLOCK] = b"\xff" * BLOCK
        return 0


class Flash:
    def __init__(self, nor):
        self._nor = nor
        self.block_count = nor.ioctl(4, 0)

    def read(self, block, offset, buffer):
        self._nor.readblocks(block, buffer, offset)

    def program(self, block, offset, data):
        self._nor.writeblocks(block, data, offset)


def mount(nor):
    try:
        vfs.umount("/")
    except OSError:
        pass
    vfs.mount(vfs.VfsLfs2(nor), "/")
    os.chdir("/")


def fresh(blocks):
    content = bytearray(b"\xff" * (blocks * BLOCK))
    vfs.VfsLfs2.mkfs(Nor(content, 0, 0))
    return content


def random_bytes(count):
    return bytes(range(count))


def start(nor):
    mount(nor)
    board, _ = files.load_identity(random_bytes)
    journal = Journal(board, Segments(Flash(nor), lambda: None), random_bytes)
    journal.boot += 1
    return journal


def append(journal, appended, n):
    fields = (n * 10, "open" if n % 2 else "close", "word" if n % 2 else "timeout", n % 256, 0, 3000, (3300, 3300), (0, 0), n, 0)
    journal.append(*fields)
    appended.append((journal.seq, bytes(journal.find(journal.seq))))


def lost_recorder(journal, appended):
    def record_lost(count, first):
        journal.append(0, "lost", "overwritten", 0, 0, 3000, (3300, 3300), (0, 0), count, first)
        appended.append((journal.seq, bytes(journal.find(journal.seq))))

    return record_lost


sound = set()  # link and slot that were checked: every run has the same first key, and begins with the same records
keys = [random_bytes(32)]  # of each epoch


def check_chain(journal, where, newest=4000):
    # Every record kept (or the newest of them) is whole, hangs on the one before it, and is sealed with a key no older than its.
    link, epoch = None, 0
    while len(keys) <= journal.epoch:
        keys.append(record.next_key(keys[-1]))
    assert keys[journal.epoch] == journal.key, (where, "key", journal.epoch)
    for seq in range(max(journal.oldest, journal.seq - newest), journal.seq + 1):
        slot = journal.find(seq)
        assert slot is not None, (where, "record missing", seq)
        slot = bytes(slot)
        if link is None:
            link = record.genesis(journal.board) if seq == 1 else None
        if link is not None and link + slot not in sound:
            body = slot[:40]
            while record.make_mac(keys[epoch], link, body) != slot[52:60]:
                epoch += 1
                assert epoch <= journal.epoch, (where, "mac", seq)
            assert record.make_link(link, body, slot[52:60]) == slot[40:52], (where, "link", seq)
            sound.add(link + slot)
        link = slot[40:52]
    assert link is None or link == journal.link, (where, "head")


# None of them is what a board without a configuration goes by.
CHOICES = config.check({"open_ms": 6000}), config.check({"open_ms": 4000, "cutoff_q8": 240})


def scripted_hour(journal, appended, state, count):
    # A scripted hour: openings, an acknowledgement, a new segment, a changed configuration.
    for n in range(count):
        append(journal, appended, n)
        if n % 37 == 5 and appended and state["read"]:
            seq, slot = appended[-1]
            assert journal.acknowledge(seq, slot[40:52])
            state["asked"] = seq
            journal.save_acked()
            state["acked"] = seq
        if n % 101 == 50 or n == 90:  # the second time there is one to be replaced
            old = state["config"]
            new = CHOICES[old == CHOICES[0]]
            state["either"], state["config"] = (old, new), None
            files.save_config(old, new, lambda: None)
            state["config"] = new
        if journal.needs_room():
            journal.make_room(lost_recorder(journal, appended))


def run_until_cut(nor, appended, state, count, where):
    # One life of the board, until its power goes or the story ends; whether it went.
    try:
        scripted_hour(start(nor), appended, state, count)
        return False
    except (PowerCut, OSError, segments.FlashError):
        assert nor.dead, (where, "failed without a cut")
        return True


def lost_ranges(journal, newest):
    found = []
    for seq in range(max(journal.oldest, newest - 200), newest + 1):
        fields = record.read_body(journal.find(seq)[:40])
        if fields[record.EVENT_AT] == "lost":
            found.append(fields[12:14])
    return found


def check_restart(journal, appended, state, where):
    # What the next start finds: everything reported durable, nothing half-read.
    oldest, newest = journal.oldest, journal.seq
    reported = appended[-1][0] if appended else 0
    reported = max(reported, state["newest"])
    assert reported <= newest <= reported + 1, (where, "head", newest, "reported", reported)
    for seq, slot in appended:
        if seq >= oldest:
            assert journal.find(seq) == slot, (where, "acknowledged record gone", seq)
    counted = lost_ranges(journal, newest) if oldest > state["oldest"] else []
    for seq in range(max(state["oldest"], state["acked"] + 1), oldest):
        assert any(first <= seq < first + count for count, first in counted), (where, "gone and not counted", seq)
    # The acknowledgement is kept at times only: an older one makes the host's copy come twice, never not at all.
    assert journal.acked <= max(state["acked"], state["asked"]), (where, "acknowledged what nobody did")
    assert journal.acked >= state["acked"], (where, "acknowledgement gone")
    check_chain(journal, where, state["checked"])
    settings, damaged = files.load_config()
    assert not damaged, (where, "configuration damaged")
    if state["config"] is not None:
        assert settings == state["config"], (where, "configuration")
    else:
        assert settings in state["either"], (where, "configuration half written")
        state["config"] = settings


def run_cuts(base, before, cuts, count):
    # before: (oldest, newest) record of the base; cuts: (write, how much of it is torn off) of each life, one after the other
    # on the same flash; count: records of the first. (writes of the first life, how many lives were cut)
    appended, content = [], bytearray(base)
    state = {"config": config.defaults(), "acked": 0, "asked": 0, "oldest": before[0], "newest": before[1]}
    state["read"] = before[1] == 0  # nobody reads the full ring
    state["checked"] = 4000 if before[1] == 0 else 100  # of a full ring, what the cut could touch
    writes, happened = 0, 0
    for life, (cut_at, torn) in enumerate(cuts):
        where = (life, cut_at, torn)
        nor = Nor(content, cut_at, torn)
        happened += run_until_cut(nor, appended, state, count if life == 0 else 30, where)
        writes = writes or nor.writes
        last = life == len(cuts) - 1
        # Before another cut, read on a copy: the start that follows is the next life's, and may itself be cut.
        nor = Nor(content if last else bytearray(content), 0, 0)
        journal = start(nor)
        check_restart(journal, appended, state, where)
        if journal.seq > (appended[-1][0] if appended else state["newest"]):
            appended.append((journal.seq, bytes(journal.find(journal.seq))))  # whole, but its writer never knew
    # And a life without a cut, which writes where littlefs thinks that nothing is.
    scripted_hour(journal, appended, state, 30)
    journal = start(nor)
    check_restart(journal, appended, state, (where, "and a life after it"))
    assert journal.seq == appended[-1][0], (where, "records after the cut")
    return writes, happened


def wrap(blocks, records):
    # Round and round a small flash: what is overwritten unread is counted, what was read is not.
    nor = Nor(fresh(blocks), 0, 0)
    journal = start(nor)
    lost = []

    def record_lost(count, first):
        lost.append((count, first))
        append(journal, [], count)

    for n in range(records):
        append(journal, [], n)
        if journal.needs_room():
            journal.make_room(record_lost)
        if n == records // 2:
            gone = journal.oldest - 1  # overwritten before anybody read them
            assert journal.acknowledge(journal.seq, journal.link)
            journal.save_acked()
    covered = journal.oldest - 1
    unread = 0
    for count, first in lost:
        unread += count
        assert first <= covered, "counted as lost, but kept"
    check_chain(journal, "wrap")
    print("wrapped", journal.seq, "oldest", journal.oldest, "lost", unread, "in", len(lost), "acked", journal.acked, "gone", gone)


def full_ring():
    # A flash with room for four segments, gone round once, twenty records before the next has to make room.
    nor = Nor(fresh(74), 0, 0)
    journal = start(nor)
    while journal.oldest == 1 or journal._segments.used != segments.SLOTS - 20 or os.statvfs("/")[3] > 16:
        append(journal, [], journal.seq)
        if journal.needs_room():
            journal.make_room(lost_recorder(journal, []))
    return nor.content


def plant():
    # What a careless programmer would have written: the file in place, and a slot believed without reading it.
    def write_in_place(path, data):
        with open(path, "wb") as file:
            file.write(data[: len(data) // 2])
            file.flush()
            file.write(data[len(data) // 2 :])

    files.write_atomically = write_in_place


def torn():
    return (0, 0.25, 0.5, 0.9, 1.0)[random.getrandbits(8) % 5]


def main():
    seed, mode, first, last, step = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
    random.seed(seed)
    if mode == "wrap":
        wrap(first, last)
        return
    if mode == "planted":
        plant()
        mode = "every"
    base = full_ring() if mode == "ring" else fresh(96)
    count = {"every": 150, "ring": 40}.get(mode, 1200)
    journal = start(Nor(bytearray(base), 0, 0))
    before = journal.oldest, journal.seq
    total, _ = run_cuts(base, before, [(0, 0)], count)
    cuts = runs = again = 0
    at = first
    while at <= (last if mode == "random" else total):
        lives = [(random.randrange(1, total + 1) if mode == "random" else at, torn())]
        while mode == "random" and random.getrandbits(2) == 0:
            lives.append((random.randrange(1, 40), torn()))  # and once more, soon after the restart
        _, happened = run_cuts(base, before, lives, count)
        gc.collect()
        runs += 1
        cuts += happened
        again += happened > 1
        at += step
    print("runs", runs, "cuts", cuts, "again", again, "writes", total)


main()
