# From power to the first hop: identity, journal, word, self-test. Whatever is missing, the board comes up closed and says why.
import binascii

from micropython import const

from lid import config, store

# Native code first, large buffers after it: both come from the same block of memory.
from lid.app import App
from lid.board import Board
from lid.gate import blob
from lid.gate.detector import Detector
from lid.journal import Journal, NoJournal
from lid.link import Link
from lid.notes import VERSION, VERSION_CODE
from lid.segments import FlashError, Segments

_QUICK_STARTS = const(3)  # so many in a row without a good minute, and another try will not mend it
_DRAIN_HOPS = const(50)


def run(model_path):
    """Runs until the power goes. Returns only into maintenance: talk button held through the reset."""
    board = Board()
    problems = []
    identity, is_new = store.load_identity(board.random_bytes)
    settings, damaged = store.load_config()
    if damaged:
        problems.append(("config-damaged", 0, config.digest(settings)))
    journal = _open_journal(identity, board, problems)
    journal.boot += 1
    if board.talk_pressed():
        _maintain(board, journal, settings)
        return
    starts = store.count_start()
    ear = None if starts > _QUICK_STARTS else _load_word(model_path, problems)
    app = App(board, journal, settings, ear)
    board.close_repl()
    board.start_watchdog()
    try:
        _begin(app, board, journal, starts, is_new, problems)
        while True:
            app.hop()
    except Exception as error:
        _stop(app, board, error)


def _open_journal(identity, board, problems):
    try:
        return Journal(identity, Segments(board.flash, board.feed))
    except (FlashError, OSError):
        problems.append(("flash-error", 0, 0))
        return NoJournal(identity)


def _load_word(path, problems):
    if path == "-":
        return None  # flashed without a word: the button still opens
    try:
        return Detector(blob.load(path))
    except (OSError, ValueError, MemoryError) as error:
        problems.append(("model-damaged", 0, 0))
        print("earlid: no word to listen for (%s); the button still opens" % error)
        return None


def _begin(app, board, journal, starts, is_new, problems):
    note = app.notes.note
    app.settle_inputs()
    note("boot", board.reset_cause(), VERSION_CODE, starts - 1)
    if is_new:
        note("config", "first-start", app.digest, app.digest)
    for reason, measured, threshold in problems:
        note("fault", reason, measured, threshold)
    if journal.torn:
        note("lost", "torn", journal.torn, journal.seq + 1)
    if journal.needs_room():
        app.make_room()
    if starts > _QUICK_STARTS:
        app.policy.fail("boot-loop")
    else:
        app.selftest()
    app.notes.greet()


def _maintain(board, journal, settings):
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
        link.pump()


def _stop(app, board, error):
    # An exception anywhere: both contacts open, one record, and a new start; three in a row stay closed.
    board.release()
    board.listening = False
    print("earlid: stopped by %s: %s" % (type(error).__name__, error))
    try:
        app.notes.note("fault", "exception", 0, 0)
        for _ in range(_DRAIN_HOPS):
            app.link.pump()
            board.pause()
    finally:
        board.reset()
