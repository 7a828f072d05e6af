# SPDX-License-Identifier: MIT
# From power to the first hop: identity, journal, word, self-test. Whatever is missing, the board comes up closed and says why.
import binascii
import gc
import os
import struct

from micropython import const

from lid import circuit, config, files, record, selftest

# Native code first, large buffers after it: both come from the same block of memory.
from lid.app import App
from lid.board import Board
from lid.contact import BLOCK, MARK_MS
from lid.gate import channels, frontend, model_file, twiddles, wakeword, weights
from lid.gate.detector import Detector
from lid.journal import Journal, NoJournal
from lid.link import Link
from lid.messages import VERSION, VERSION_CODE
from lid.segments import FlashError, Segments

_QUICK_STARTS = const(3)  # so many in a row without a good minute, and another try will not mend it
_DRAIN_HOPS = const(50)
_START_GARBAGE = const(1024)  # collected so often, what lives stays packed and one large block stays free
# A collection takes 4 to 5 ms. Frames of calls count as garbage although they are given back at once: this is every
# 1.6 s, with some 5 KB of true garbage, which has no time to spread over the free blocks.
_LOOP_GARBAGE = const(131072)
_ENOSPC = const(28)
_LAST_RECORDS = const(200)  # so far back, at most, lies what began the last receipt, or a mark of it
_HARD_MAX_MS = const(60000)  # lid.policy opens no longer
_GONE_MS = const(350)  # the rail is gone so long after the last word about it: 250 ms of drop, and a late hop
_UNKNOWN = const(4294967295)
_LATCHED = ("flash-full", "flash-error")
_NO_WORD = ("model-damaged", "no-memory")


def run(model_path):
    """Runs until the power goes. Returns only into maintenance: talk button held through the reset."""
    gc.threshold(_START_GARBAGE)
    board = Board()
    problems = []  # type: list[tuple[str, int, int]]
    journal, is_new = _open_journal(board, problems)
    settings, damaged = files.load_config()
    files.load_previous_config()  # mends it
    if damaged:
        problems.append(("config-damaged", 0, config.digest(settings)))
    missing = journal.no_memory()
    if missing >= 0:
        weights.drop(missing)  # the last start was ended by that: this one goes without the word
    journal.boot += 1
    if board.talk_pressed():
        _enter_maintenance(board, journal, settings)
        return
    starts = _count_start(board.reset_cause() == "power-on", problems)
    detector = None if starts > _QUICK_STARTS else _load_word(model_path, problems)
    _forget_reading()
    try:
        app = App(board, journal, settings, detector)
    except MemoryError as error:
        detector = None
        _report_no_word(error, problems)
        app = App(board, journal, settings, None)
    board.close_repl()
    board.start_watchdog()
    try:
        _begin(app, board, journal, starts, is_new, problems)
        _forget_start()
        gc.collect()
        gc.threshold(_LOOP_GARBAGE)
        while True:
            app.hop()
    except Exception as error:
        detector = None
        _restart(app, board, error)


def _open_journal(board, problems):
    name = None
    try:
        old = _migration()
        known, key = old.read() if old else ("", None)
        name, is_new = files.load_identity(board.random_bytes, known)
        journal = Journal(name, Segments(board.flash, board.feed), board.random_bytes, key)
        if old:
            flash = board.flash
            getattr(old, "finish")(  # the bundle renames no text
                journal.needs_room, journal.make_room, journal.append, flash.read, flash.program, flash.block_count, board.feed
            )
        return journal, is_new
    except (FlashError, OSError) as error:
        # Flash that cannot be written: nothing is kept, so nothing is opened; a new board is not even known again.
        problems.append((_flash_reason(error), 0, 0))
        return NoJournal(name or files.make_identity(board.random_bytes), board.random_bytes), False


def _migration():
    try:
        os.stat(files.OLD_IDENTITY)
    except OSError:
        return None
    return __import__("lid.migration", None, None, ("read",))  # no part of the bundle: it is needed once


def _flash_reason(error):
    return "flash-full" if error.args and error.args[0] in ("flash-full", _ENOSPC) else "flash-error"


def _count_start(anew, problems):
    try:
        return files.count_start(anew)
    except OSError as error:
        problems.append((_flash_reason(error), 0, 0))
        return 1


def _load_word(path, problems):
    if path == "-":
        return None  # flashed without a word: the button still opens
    try:
        return Detector(model_file.load(path))
    except (OSError, ValueError, MemoryError) as error:
        _report_no_word(error, problems)
        return None


# Code that has run for the last time goes: 8 KB, where what the loop keeps then finds its place.
def _forget_reading():
    global _open_journal, _migration, _flash_reason, _count_start, _load_word, _enter_maintenance
    del _open_journal, _migration, _flash_reason, _count_start, _load_word, _enter_maintenance
    del files.load_config, files.load_identity, files.make_identity, files.count_start
    del model_file.load, model_file.Layout, model_file.BufferEntry, model_file.LayerEntry, model_file.Look
    del wakeword.buffer_words, wakeword.layer_words, wakeword.fold_zero
    del twiddles.cosine, twiddles.stage_twiddles, twiddles.split_twiddles, channels.root_guesses
    del Board.__init__, wakeword.WakeWord.__init__, frontend.Frontend.__init__  # there is one of each
    weights.forget()


def _forget_start():
    global _forget_reading, _report_no_word, _begin, _end_receipt, _last_exposure, _reset_bounds
    del _forget_reading, _report_no_word, _begin, _end_receipt, _last_exposure, _reset_bounds


def _report_no_word(error, problems):
    problems.append(_fault_of(error, "model-damaged"))
    text = error.args[0] if type(error) is MemoryError and error.args else error
    print("earlid: no word to listen for (%s); the button still opens" % text)


def _fault_of(error, otherwise):
    if type(error) is not MemoryError:
        return otherwise, 0, 0
    gc.collect()
    missing = 0
    for word in str(error.args[-1] if error.args else "").split():
        if word.isdigit():
            missing = int(word)
            break
    return "no-memory", missing, gc.mem_free()


def _begin(app, board, journal, starts, is_new, problems):
    append = app.recorder.append
    app.settle_inputs()
    for reason, _, _ in problems:
        if reason in _LATCHED:
            app.policy.fail(reason)
    append("boot", board.reset_cause(), VERSION_CODE, starts - 1)
    _end_receipt(app.contact, append, board, journal)
    if is_new:
        digest = config.digest(app.settings)
        append("config", "first-start", digest, digest)
    if journal.key_lost:
        append("config", "key-lost", journal.epoch, 0)
    for reason, measured, threshold in problems:
        append("fault", reason, measured, threshold)
        if reason in _NO_WORD:
            app.hearing.no_word = (reason, measured)
    if journal.torn:
        append("lost", "torn", journal.torn, journal.seq + 1)
    if journal.needs_room():
        app.make_room()
    if starts > _QUICK_STARTS:
        app.policy.fail("boot-loop")
        app.hearing.no_word = ("boot-loop", 0)
    else:
        selftest.run_and_record(board, app.hearing, app.policy, app.recorder)
        app.clock.tick()
    app.link.send(app.requests.hello({}))


def _end_receipt(contact, append, board, journal):
    # What the last life began and a reset ended. Without edges the rail is gone in time, unless the contact is welded.
    entry = _last_exposure(journal)
    if entry:
        append(*_reset_bounds(entry, board.kept()))
    for _ in range(circuit.DROP_MAX_MS // circuit.TOGGLE_MS):
        if not board.rail.live:
            break
        board.pause()
    if board.rail.live:
        contact.tell("live", "start", board.rail.mv, _UNKNOWN)
    else:
        board.rail.restart()


def _last_exposure(journal):
    # The newest record of an exposure that none ends.
    for back in range(min(journal.seq, _LAST_RECORDS)):
        slot = journal.find(journal.seq - back)
        if slot is None:
            continue
        entry = record.read_body(slot[: record.BODY_BYTES])
        event, reason = entry[record.EVENT_AT], entry[record.REASON_AT]
        if event in ("close", "dead") or (event == "selftest" and reason == "passed"):
            return None
        if event in ("open", "live", "mark"):
            return entry
    return None


def _reset_bounds(entry, kept):
    # The record that ends it: by the RTC's memory if that is of this exposure, else by what its own record allows.
    event, reason = entry[record.EVENT_AT], entry[record.REASON_AT]
    a, least = entry[12:14] if event == "mark" else (0, 0)
    most = min(a + MARK_MS, _HARD_MAX_MS) + _GONE_MS
    if len(kept) == 20 and binascii.crc32(kept[:16]) & 0xFFFFFFFF == int.from_bytes(kept[16:], "little"):
        boot, seq, kept_least, kept_most = struct.unpack(BLOCK, kept)
        if boot == entry[1] and (seq == entry[0] or event == "mark"):
            least, most = kept_least, kept_most + _GONE_MS
    if "live" in (event, reason):
        return "dead", "reset", least, _UNKNOWN
    return "close", "reset", least, most


def _enter_maintenance(board, journal, settings):
    # The lid and the sentinel stay off: nothing toggles. The REPL opens when main.py ends.
    board.stop_microphone()
    fields = (board.guarded_mv(), board.sentinel_mv())
    try:
        journal.append(0, "maintenance", "entered", 0, 1, 0, fields, (0, 0), 0, 0)
    except FlashError:
        pass
    link = Link(board)
    link.send({"hi": {
        "board": journal.board, "fw": VERSION, "maintenance": True, "boot": journal.boot, "state": "closed",
        "config": "%08x" % config.digest(settings),
        "seq": journal.seq, "link": binascii.hexlify(journal.link).decode(),
    }})  # fmt: skip
    for _ in range(_DRAIN_HOPS):
        link.drain()


def _restart(app, board, error):
    # An exception anywhere: both contacts open, one record, and a new start; three in a row stay closed.
    board.listening = False
    app.contact.release("fault")
    app.hearing.forget_word()  # so that there is memory to record that there is none
    print("earlid: stopped by %s: %s" % (type(error).__name__, error))
    try:
        app.recorder.append("fault", *_fault_of(error, "exception"))
        for _ in range(_DRAIN_HOPS):
            app.link.drain()
            board.pause()
        app.contact.finish()
        app.link.drain()
    finally:
        board.reset()
