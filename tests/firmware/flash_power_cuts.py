# SPDX-License-Identifier: MIT
# Runs on MicroPython: the journal, configuration and identity on a real littlefs over NOR flash that loses power at a
# chosen write.
# argv: seed, mode (every|random|ring|wrap|planted, or a fault of FAULTS), first, last, step. Prints one line of counts; an
# AssertionError says at which write.
import binascii
import gc
import os
import random
import sys

import vfs
from lid import config, files, record, segments
from lid.journal import Journal
from lid.segments import Segments
from nor_cells import BITS, BLOCK, HALF, NOTHING, TORN, UNSTABLE, Cells


class PowerCut(Exception):
    pass


class Nor:
    # A block device over cells. After `cut_at` writes the power goes: the last one is left as `kind` has it, and nothing
    # answers any more.
    def __init__(self, cells, cut_at, kind=TORN):
        self.cells = cells
        self.writes = 0
        self.cut_at = cut_at
        self.kind = kind
        self.raw = False  # a record's program: littlefs does not stand bits that read differently from read to read
        self.half_at = 0  # this write, if an erase, is half done and nobody is told
        self.skip_at = 0  # this write, if a program, does nothing and nobody is told
        self.dead = False

    def _power_goes(self):
        self.writes += 1
        self.dead = self.writes == self.cut_at
        return self.dead

    def _cut_kind(self):
        return BITS if self.kind == UNSTABLE and not self.raw else self.kind

    def readblocks(self, block, buffer, offset=0):
        if self.dead:
            return -5
        buffer[:] = self.cells.read(block * BLOCK + offset, len(buffer))

    def writeblocks(self, block, data, offset=None):
        if self.dead:  # a file's finaliser, with the heap locked: no exception can be made
            return -5
        if offset is None:
            self.ioctl(6, block)
            offset = 0
        if self._power_goes():
            self.cells.cut_program(block * BLOCK + offset, bytes(data), self._cut_kind())
            raise PowerCut()
        if self.writes == self.skip_at:
            self.cells.skips = 1
        self.cells.program(block * BLOCK + offset, data)

    def ioctl(self, op, block):
        if op == 4:
            return len(self.cells.content) // BLOCK
        if op == 5:
            return BLOCK
        if op == 6:
            if self.dead:
                return -5
            if self._power_goes():
                self.cells.cut_erase(block, self._cut_kind())
                raise PowerCut()
            if self.writes == self.half_at:
                self.cells.cut_erase(block, HALF)
            else:
                self.cells.erase(block)
        return 0


class Flash:
    def __init__(self, nor):
        self._nor = nor
        self.block_count = nor.ioctl(4, 0)

    def read(self, block, offset, buffer):
        self._nor.readblocks(block, buffer, offset)

    def program(self, block, offset, data):
        self._nor.raw = True
        try:
            self._nor.writeblocks(block, data, offset)
        finally:
            self._nor.raw = False


def mount(nor):
    try:
        vfs.umount("/")
    except OSError:
        pass
    vfs.mount(vfs.VfsLfs2(nor), "/")
    os.chdir("/")


def fresh(blocks):
    cells = Cells(bytearray(b"\xff" * (blocks * BLOCK)), random)
    vfs.VfsLfs2.mkfs(Nor(cells, 0))
    return cells


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


def check_chain(journal, where, newest=4000, spared=0):
    # Every record kept (or the newest of them) is whole, hangs on the one before it, and is sealed with a key no older than its.
    link, epoch = None, 0
    while len(keys) <= journal.epoch:
        keys.append(record.next_key(keys[-1]))
    assert keys[journal.epoch] == journal.key, (where, "key", journal.epoch)
    for seq in range(max(journal.oldest, journal.seq - newest), journal.seq + 1):
        slot = journal.find(seq)
        if slot is None and spared:
            spared, link = spared - 1, b""  # the next one cannot be held against it
            continue
        assert slot is not None, (where, "record missing", seq)
        slot = bytes(slot)
        if link == b"":
            link = slot[40:52]
            continue
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
            assert journal.holds(seq, binascii.hexlify(slot[40:52]).decode())
            journal.acknowledge(seq)
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
        assert nor.dead or state.get("may_stop"), (where, "failed without a cut")
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
    spared = state.get("spared", 0)  # a bit that went bad later may cost the record that it is in
    assert reported - spared <= newest <= reported + 1, (where, "head", newest, "reported", reported)
    gone = []
    for seq, slot in appended:
        if oldest <= seq <= newest and journal.find(seq) != slot:
            gone.append(seq)
            # Of a newest record that a bad bit took, the number is given anew.
            assert spared or journal.find(seq) is None, (where, "another record", seq)
    assert len(gone) <= spared, (where, "acknowledged record gone", gone)
    counted = lost_ranges(journal, newest) if oldest > state["oldest"] else []
    unread = range(max(state["oldest"], state["acked"] + 1), oldest)
    uncounted = [seq for seq in unread if not any(first <= seq < first + count for count, first in counted)]
    assert len(uncounted) <= spared, (where, "gone and not counted", uncounted)
    # The acknowledgement is kept at times only: an older one makes the host's copy come twice, never not at all.
    assert journal.acked <= max(state["acked"], state["asked"]), (where, "acknowledged what nobody did")
    assert journal.acked >= state["acked"], (where, "acknowledgement gone")
    check_chain(journal, where, state["checked"], spared)
    settings, damaged = files.load_config()
    assert not damaged, (where, "configuration damaged")
    if state["config"] is not None:
        assert settings == state["config"], (where, "configuration")
    else:
        assert settings in state["either"], (where, "configuration half written")
        state["config"] = settings


def run_cuts(base, before, cuts, count):
    # base: cells; before: (oldest, newest) record of them; cuts: (write, what is left of it) of each life, one after the other
    # on the same flash; count: records of the first. (writes of the first life, how many lives were cut)
    appended, cells = [], base.copy()
    state = {"config": config.defaults(), "acked": 0, "asked": 0, "oldest": before[0], "newest": before[1]}
    state["read"] = before[1] == 0  # nobody reads the full ring
    state["checked"] = 4000 if before[1] == 0 else 100  # of a full ring, what the cut could touch
    writes, happened = 0, 0
    for life, (cut_at, kind) in enumerate(cuts):
        where = (life, cut_at, kind)
        nor = Nor(cells, cut_at, kind)
        happened += run_until_cut(nor, appended, state, count if life == 0 else 30, where)
        writes = writes or nor.writes
        last = life == len(cuts) - 1
        # Before another cut, read on a copy: the start that follows is the next life's, and may itself be cut.
        nor = Nor(cells if last else cells.copy(), 0)
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


FAULTS = ("bits", "unstable", "nothing", "half", "stuck", "dead")


def end_of_segment():
    # A flash with a spare, and a current segment with room for 25 records.
    nor = Nor(fresh(96), 0)
    journal = start(nor)
    while journal._segments.used < segments.SLOTS - 25 or not journal._segments.has_spare():
        append(journal, [], journal.seq)
        if journal.needs_room():
            journal.make_room(lost_recorder(journal, []))
    current, spare = [journal._segments._blocks[segment_id] for segment_id in journal._segments.ids[-2:]]
    return nor.cells, current + spare, (current[-1], spare[0], spare[1])


def choose(options):
    return options[random.getrandbits(16) % len(options)]


def run_fault(base, before, blocks, fault):
    # A life with the fault, cut at a random write; a second one on the same flash, often cut soon; a third without a cut.
    cells, appended, happened = base.copy(), [], 0
    state = {"config": config.defaults(), "acked": 0, "asked": 0, "oldest": before[0], "newest": before[1]}
    state["read"], state["checked"] = False, 60
    if fault == "stuck":
        # From the beginning, or behind a record's back: anywhere in the segments.
        at = choose(blocks) * BLOCK + random.randrange(BLOCK)
        stuck = at, (1 << random.getrandbits(3), random.getrandbits(1) * 255)
        state["spared"] = 1
        # littlefs has pointers there, and no checksum over them: it makes no more room then, and the board stops, closed.
        state["may_stop"] = at % BLOCK < 20
        late = random.getrandbits(1)
        if not late:
            cells.stuck[at] = stuck[1]
    if fault == "dead":
        cells.dead.add(choose((choose(blocks), random.randrange(2, len(cells.content) // BLOCK))))
    for life in range(3):
        where = (fault, life)
        # Half of the cuts come before the new segment's many writes, half of the rest with it.
        cut_at = 0 if life == 2 else random.randrange(1, choose((12, 60, 60, 700)))
        nor = Nor(cells, cut_at, fault if fault in (BITS, UNSTABLE, HALF) else choose((TORN, NOTHING)))
        if fault == "half" and life == 0:
            nor.half_at = random.randrange(1, 700)
        if fault == "nothing":
            cells.skips = 0
            nor.skip_at = random.randrange(1, choose((12, 60)))
        happened += run_until_cut(nor, appended, state, 45 if life == 0 else 12, (where, cut_at))
        if fault == "stuck" and late and life == 0:
            cells.stuck[stuck[0]] = stuck[1]
        for _ in range(1 + (fault == UNSTABLE)):  # it may read differently
            journal = start(Nor(cells, 0))
            check_restart(journal, appended, state, (where, cut_at))
            if journal.seq > (appended[-1][0] if appended else state["newest"]):
                appended.append((journal.seq, bytes(journal.find(journal.seq))))  # whole, but its writer never knew
    return happened


def wrap(blocks, records):
    # Round and round a small flash: what is overwritten unread is counted, what was read is not.
    nor = Nor(fresh(blocks), 0)
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
            journal.acknowledge(journal.seq)
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
    nor = Nor(fresh(74), 0)
    journal = start(nor)
    while journal.oldest == 1 or journal._segments.used != segments.SLOTS - 20 or os.statvfs("/")[3] > 16:
        append(journal, [], journal.seq)
        if journal.needs_room():
            journal.make_room(lost_recorder(journal, []))
    return nor.cells


def plant():
    # What a careless programmer would have written: the file in place, and a slot believed without reading it.
    def write_in_place(path, data):
        with open(path, "wb") as file:
            file.write(data[: len(data) // 2])
            file.flush()
            file.write(data[len(data) // 2 :])

    files.write_atomically = write_in_place


def main():
    seed, mode, first, last, step = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
    random.seed(seed)
    if mode == "wrap":
        wrap(first, last)
        return
    if mode in FAULTS:
        base, blocks, written = end_of_segment()
        journal = start(Nor(base.copy(), 0))
        before = journal.oldest, journal.seq
        cuts = 0
        for run in range(first, last + 1):
            random.seed(seed + run)
            try:
                cuts += run_fault(base, before, choose((blocks, written)), mode)
            except Exception:
                print("run", run)
                raise
            if run % 16 == 0:
                gc.collect()
        print("runs", last + 1 - first, "cuts", cuts)
        return
    if mode == "planted":
        plant()
        mode = "every"
    base = full_ring() if mode == "ring" else fresh(96)
    count = {"every": 150, "ring": 40}.get(mode, 1200)
    journal = start(Nor(base.copy(), 0))
    before = journal.oldest, journal.seq
    total, _ = run_cuts(base, before, [(0, TORN)], count)
    cuts = runs = again = 0
    at = first
    while at <= (last if mode == "random" else total):
        lives = [(random.randrange(1, total + 1) if mode == "random" else at, TORN)]
        while mode == "random" and random.getrandbits(2) == 0:
            lives.append((random.randrange(1, 40), TORN))  # and once more, soon after the restart
        _, happened = run_cuts(base, before, lives, count)
        gc.collect()
        runs += 1
        cuts += happened
        again += happened > 1
        at += step
    print("runs", runs, "cuts", cuts, "again", again, "writes", total)


if __name__ == "__main__":
    main()
