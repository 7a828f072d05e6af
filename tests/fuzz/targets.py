# SPDX-License-Identifier: MIT
"""Readers of foreign bytes, each with what must hold of any bytes: `TARGETS`.

A target takes bytes and says whether they were read; what is refused is refused with the error that the reader documents.
Anything else that it raises is a finding. Checksums in the bytes are set right where a forger would: behind them is more to read.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import io
import json
import os
import random
import struct
import tempfile
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from earlid import config_file, filesystem
from earlid.board.framing import LineReader
from earlid.board.link import Link
from earlid.bridge.bridge import Bridge
from earlid.bridge.entities import Topics
from earlid.calibrate.calibration import read_options
from earlid.calibrate.session_file import SessionFiles
from earlid.door import is_identifier, is_printable, plain
from earlid.errors import LEDGER_BROKEN, UserError
from earlid.evaluate.evaluation import read_settings
from earlid.flash import deploy, foreign, image, memory_plan, one_file, partitions, provision
from earlid.flash.inputs import read_config, read_word
from earlid.flash.repl import Repl
from earlid.gate import audio, blob_writer, graph, models, tflite
from earlid.ledger import acts, keys, rows, witnessed
from earlid.ledger.act_chain import ActChain, read_act
from earlid.ledger.anchor_code import make_code, parse_code
from earlid.ledger.boards import boards
from earlid.ledger.chain import Stretch
from earlid.ledger.importer import import_file
from earlid.ledger.installation import Installation
from earlid.ledger.judge import judge_with_keys
from earlid.ledger.judge_export import judge_file
from earlid.ledger.location import Location
from earlid.ledger.reader import Reader
from earlid.ledger.replay import Witnessed, replay
from earlid.ledger.store import Ledger
from earlid.page.web import _parse_labels
from earlid.release import contents, signature, sums
from earlid.witness import keeper, replies, stamped_text, statement, timestamp, vouching
from lid import config, record, wire, wire_schema

from tests.fuzz import board_parts
from tests.fuzz.mutations import mutated, mutated_lines

WITNESS = Installation(bytes(32))
Read = Callable[[bytes], bool]
Mutate = Callable[[bytes, random.Random], bytes]
SAY_MAX = 1000


class Target(NamedTuple):
    """A reader: whether bytes were read; how bytes are changed by what they mean; ending of its corpus's files."""

    read: Read
    mutate: Mutate | None
    ending: str


TARGETS: dict[str, Target] = {}


def target(mutate: Mutate | None = None, ending: str = "bin") -> Callable[[Read], Read]:
    """Enter a reader in `TARGETS`."""

    def enter(read: Read) -> Read:
        TARGETS[read.__name__] = Target(read, mutate, ending)
        return read

    return enter


@functools.cache
def scratch() -> Path:
    """This process's folder for files to be read, and for whatever Earlid keeps; it goes with its parent's TMPDIR."""
    folder = Path(tempfile.mkdtemp(prefix="earlid-fuzz-"))
    os.environ.update(EARLID_DATA_DIR=str(folder / "data"), EARLID_CONFIG=str(folder / "config.toml"))
    return folder


def placed(data: bytes, name: str) -> Path:
    """A file of this name that holds the bytes."""
    path = scratch() / name
    path.write_bytes(data)
    return path


def check_sentence(error: UserError) -> None:
    """What a person reads is one line that moves no cursor."""
    assert is_printable(str(error)), f"{str(error)!r} moves a cursor"
    assert len(str(error)) < SAY_MAX, f"{len(str(error))} characters: {str(error)[:200]!r}"


def is_read(read: Callable[[], object], *refusals: type[Exception]) -> bool:
    """Whether `read` ends without a refusal: a `UserError` in a sentence, or one of `refusals`, which the reader documents."""
    try:
        read()
    except UserError as error:
        check_sentence(error)
        return False
    except refusals:
        return False
    return True


@contextmanager
def refused(*kinds: type[Exception]) -> Iterator[None]:
    """A block that may end in a documented error."""
    try:
        yield
    except kinds:
        pass


# -- the wire --------------------------------------------------------------------------------------------------------------


def framed(data: bytes) -> bytes:
    """Lines as frames with their checksums, but those that begin with `#`, which go as they are."""
    lines = data.split(b"\n")
    return b"\n".join(line if line[:1] == b"#" else b"#%s*%08x" % (line, binascii.crc32(line)) for line in lines) + b"\n"


@target(ending="txt")
def host_frames(data: bytes) -> bool:
    """The host's line reader gives what the firmware's decoder gives, however the bytes are cut; what was sent comes back."""
    stream = framed(data[1:600])
    step = data[0] + 1 if data else 1
    plain, fast = wire.Decoder(200), LineReader(200)
    expected, frames = plain.feed(stream), []
    for at in range(0, len(stream), step):
        frames += fast.feed(stream[at : at + step])
    assert repr(frames) == repr(expected)
    assert (fast.noise_bytes, fast.bad_lines) == (plain.noise_bytes, plain.bad_lines)
    for seq, body in frames:
        assert repr(wire.decode(wire.encode(seq, body)[:-1])) == repr((seq, body))
    return bool(frames)


class _Silent:
    """A port from which nothing comes any more."""

    port, in_waiting = "port", 0

    def read(self, size: int) -> bytes:
        return b""

    def write(self, data: bytes) -> None:
        pass

    def close(self) -> None:
        pass


@target(ending="txt")
def host_link(data: bytes) -> bool:
    """What a board sends reaches the host's programs only as the schema has it."""
    link = Link(_Silent())  # type: ignore[arg-type]
    link._awaited = set(range(16))
    link._take(framed(data))
    for message in (heard := list(link.messages(0))):
        if hasattr(message, "slot"):
            assert list(message) == record.slot_to_wire(message.slot)
            rows.row_from_slot(message.slot, 0, 0)
    for body in link._replies.values():
        for verb in wire_schema.REQUESTS:
            link._exchange = lambda do, timeout_s, arguments, patient=True, body=body: body  # type: ignore[method-assign]
            is_read(lambda verb=verb: link.request(verb, 0))
    return bool(heard or link._replies)


@target(ending="txt")
def board_requests(data: bytes) -> bool:
    """No request opens the lid, loosens a setting or gets the key, and every reply is as the schema has it.

    Lines are requests: JSON that gets a frame; behind `$` such that a paired host has signed; a `#` goes as it is.
    """
    reader = board_parts.RequestReader(b"")
    asked: dict[int, set[str]] = {}
    for number, line in enumerate(data.split(b"\n")[:40]):
        if line[:1] == b"#":
            reader.port.left += line + b"\n"
        else:
            with refused(ValueError, RecursionError):
                body = json.loads(line.removeprefix(b"$"))
                if isinstance(body, dict) and type(body.get("do")) is str:
                    body.setdefault("id", number)
                    text = wire.encode(number, reader.sign(body) if line[:1] == b"$" else body)
                    if type(body["id"]) is int:
                        asked.setdefault(body["id"], set()).add(body["do"])
                    reader.port.left += text
        for _ in range(len(reader.port.left) // 64 + 3):
            reader.hop()
        assert reader.policy.state == "closed", f"{reader.policy.state} by {line!r}"
        assert not config.loosens(reader.before, reader.settings), f"{reader.settings} by {line!r}"
        config.check(reader.settings)
    while reader.requests._sync or reader.link.free_bytes() < 4096:
        reader.hop()
    replies = 0
    for _, body in wire.Decoder(wire.HOST_LINE_MAX).feed(reader.port.sent):
        assert "key" not in body
        if "rec" in body:
            record.wire_to_slot(body["rec"])
        if body.get("ok") is True and "wait" not in body:
            replies += 1
            verbs = asked.get(body["re"], set()) | ({"hello"} if "hi" in body else set())
            kinds = [wire_schema.REQUESTS[verb].reply for verb in verbs if verb in wire_schema.REQUESTS]
            kinds += [wire_schema.BriefHelloReply] if "hello" in verbs else []
            wrong = [wire_schema.problem(body, kind) for kind in kinds]
            assert not wrong or not all(wrong), (body, wrong)
    return replies > 0


@target()
def slots(data: bytes) -> bool:
    """A slot of flash is a record that the wire carries unchanged, or none."""
    slot = data[:60].ljust(60, b"\0")
    slot += struct.pack("<I", binascii.crc32(slot))
    assert record.slot_is_whole(slot)
    with refused(ValueError):  # an event of a newer firmware
        row = record.slot_to_wire(slot)
        assert record.wire_to_slot(json.loads(json.dumps(row))) == slot
        rows.row_from_slot(slot, 0, 0)
        return True
    return False


@target(mutated_lines, "json")
def record_rows(data: bytes) -> bool:
    """A row of the wire is a record, or a ValueError."""
    with refused(ValueError, RecursionError):
        row = json.loads(data)
        with refused(ValueError):
            slot = record.wire_to_slot(row)
            assert record.slot_to_wire(slot) == row
            return True
    return False


@target(mutated_lines, "json")
def board_settings(data: bytes) -> bool:
    """The settings in a board's flash are complete and in range, or a ValueError."""
    with refused(ValueError, RecursionError):
        complete = config.parse(config.seal(data.split(b"\n")[0]))
        assert config.check(complete) == complete
        return True
    return False


# -- the ledger ------------------------------------------------------------------------------------------------------------


@target(mutated_lines, "jsonl")
def export(data: bytes) -> bool:
    """`verify FILE`, and where that judges it `export --import`; what was intact then is so in the ledger."""
    path, codes = placed(data, "export.jsonl"), []
    if not is_read(lambda: codes.extend(judgement.exit_code for judgement in judge_file(path))):
        return False
    for old in scratch().glob("import.sqlite*"):
        old.unlink()
    location = Location(scratch() / "import.sqlite", "")
    with Ledger(location) as ledger:
        is_read(lambda: import_file(path, ledger))
    with Reader(location) as reader:
        after = [judge_with_keys(reader, board).exit_code for board in boards(reader)]
        assert LEDGER_BROKEN in codes or LEDGER_BROKEN not in after
    return True


def _signed(board: str, head: Witnessed) -> Witnessed:
    """What a host said, signed where its act has no statement."""
    if head.by == "host" and "statement" not in head.body and is_identifier(board) and head.seq < 1 << 32:
        said = statement.sign(WITNESS, board, head.seq, head.link, head.said_ms)
        body = {**head.body, "statement": base64.b64encode(said.data).decode(), "key": WITNESS.public_key.hex()}
        return head._replace(body={"witness": WITNESS.name, **body})
    return head


@target(mutated_lines, "jsonl")
def signed_acts(data: bytes) -> bool:
    """Acts with any body, signed by somebody: kind and body by line."""
    key = hashlib.sha256(b"fuzz").digest()
    name = acts.installation_of(key)
    chain, before, read = ActChain(lambda public, link, signed: True), bytes(32), []
    for number, line in enumerate(data.splitlines()[:50], 1):
        with refused(ValueError, TypeError, RecursionError):
            kind, body = json.loads(line)
            if number == 1 and kind == "begin" and isinstance(body, dict):
                body["key"] = key.hex()
            text = json.dumps(body)
            digest = acts.hash_of(text)
            link = acts.link_of(before, name, number, number, str(kind).encode("ascii", "replace").decode(), digest)
            read.append(read_act((name, number, number, kind, text, digest, link, b"")))
            before = link
    chain.feed(read)
    chain.finish(lambda installation, number: None)
    account = replay(act for act in read if chain.is_valid(act))
    for name, said in account.boards.items():
        for head in said.witnessed:
            assert is_printable(witnessed.who(head))
        whole = [Stretch((0, 0), (1 << 53, 1 << 53), True)]
        judged = vouching.judge(name, whole, [_signed(name, head) for head in said.witnessed], (), now_ms=1_800_000_000_000)
        assert all(is_printable(line) for line in vouching.lines_of(judged))
    return any(board.labels or board.purges or board.runs or board.points for board in account.boards.values())


@target()
def time_stamps(data: bytes) -> bool:
    """An answer of a time stamp authority, behind the certificate above it, whose length comes first."""
    size = int.from_bytes(data[:2], "big")
    roots = []
    with refused(ValueError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        body = base64.encodebytes(data[2 : 2 + size])
        roots = timestamp.read_roots(b"-----BEGIN CERTIFICATE-----\n" + body + b"-----END CERTIFICATE-----\n")
    text = stamped_text.text_of([stamped_text.digest_of(board_parts.BOARD, 1, 7, bytes(12))])
    try:
        stamp = timestamp.check(data[2 + size :], text, roots)
    except timestamp.BadStamp as error:
        check_sentence(UserError(str(error)))
        return False
    assert is_printable(stamp.name)
    return True


def _with_statement(value: Any, name: str) -> Any:
    """JSON in which a list [board, number, link, ms] stands for the statement that a witness would sign."""
    with refused(ValueError, TypeError, KeyError, struct.error, AttributeError):
        board, seq, link, said_ms = value[name]
        value[name] = base64.b64encode(statement.sign(WITNESS, board, seq, bytes.fromhex(link), said_ms).data).decode()
    return value


@target(mutated_lines, "json")
def witness_requests(data: bytes) -> bool:
    """A witness signs an extension of what it signed, or nothing."""
    answers = []
    with refused(ValueError, RecursionError):
        asked = keeper.read_request(_with_statement(json.loads(data), "after"))
        assert len(asked.link) == record.LINK_BYTES
        for newest in (None, asked.after, statement.sign(WITNESS, board_parts.BOARD, 3, bytes(12), 9)):
            answers.append(keeper.answer(asked, newest, WITNESS, 1_800_000_000_000, room=True))
            json.dumps(answers[-1].body)
            if (fresh := answers[-1].fresh) is not None:
                assert statement.read(fresh.data) == fresh
                assert fresh.holds(WITNESS.public_key)
                own = asked.after is not None and asked.after.holds(WITNESS.public_key) and asked.after.board == asked.board
                base = asked.after if own and (newest is None or asked.after.seq > newest.seq) else newest  # its memory was lost
                assert base is None or statement.follow(base.seq, base.link, asked.sealed) == (fresh.seq, fresh.link)
    return any(answer.status == 200 for answer in answers)


@target(mutated_lines, "json")
def witness_replies(data: bytes) -> bool:
    """What a witness answers."""
    try:
        body = json.dumps(_with_statement(json.loads(data), "statement")).encode()
    except (ValueError, RecursionError):
        body = data
    try:
        reply = replies.read(200, body, board_parts.BOARD, None, None)
        assert is_printable(replies.denial(reply, reply.said))
        replies.check_fresh(reply, None, 1_800_000_000_000)
    except replies.BadReply as error:
        check_sentence(UserError(str(error)))
        return False
    return True


@target(ending="txt")
def anchor_codes(data: bytes) -> bool:
    """A code that is read is the one of its record, however it was typed."""
    text = data.decode(errors="replace")

    def read() -> None:
        anchor = parse_code(text)
        code = make_code(anchor.seq, anchor.link_bits.to_bytes(5, "big") + bytes(7))
        assert parse_code(code) == anchor
        assert anchor.matches(anchor.link_bits.to_bytes(5, "big") + bytes(7))

    return is_read(read)


@target(ending="txt")
def key_files(data: bytes) -> bool:
    """A board's file of keys."""
    board = board_parts.BOARD
    scratch()
    keys.key_path(board).parent.mkdir(parents=True, exist_ok=True)
    keys.key_path(board).write_bytes(data)
    return is_read(lambda: keys.read_keys(board)) and keys.key_at(board, 0) is not None


@target(mutated_lines, "json")
def page_labels(data: bytes) -> bool:
    """What a browser posts to the review page."""
    words = _parse_labels(data)
    return bool(words)


# -- networks and words ----------------------------------------------------------------------------------------------------


def compile_network(data: bytes) -> bytes:
    """A .tflite file's bytes as a word's blob."""
    return blob_writer.encode(graph.build_network(tflite.read(data)), "word", [], 5, 1000, bytes(32))


@functools.cache
def published_network() -> bytes:
    """A network to be changed: too large for a corpus."""
    return (models.builtin_dir() / "alexa.tflite").read_bytes()


def edited(data: bytes, edits: bytes) -> bytes:
    """Bytes with others written over them: five bytes an edit, an offset (24 bits, from the end where its first bit is set)
    and two to be written."""
    changed = bytearray(data)
    for at in range(0, len(edits) - 4, 5):
        offset = int.from_bytes(edits[at : at + 3], "big")
        offset = len(data) - 2 - (offset & 0x7FFFFF) % (len(data) - 1) if offset >> 23 else offset % (len(data) - 1)
        changed[offset : offset + 2] = edits[at + 3 : at + 5]
    return bytes(changed)


@target()
def network(data: bytes) -> bool:
    """A small .tflite file."""
    with refused(tflite.ModelError):
        check_word(compile_network(data))
        return True
    return False


@target()
def network_edits(data: bytes) -> bool:
    """Changes of a published network; what compiles is a word that a board loads."""
    with refused(tflite.ModelError):
        check_word(compile_network(edited(published_network(), data)))
        return True
    return False


def check_word(blob: bytes) -> None:
    """A compiled word is one to host and board."""
    memory_plan.word_sizes(blob)
    load_on_board(blob)


def load_on_board(blob: bytes) -> None:
    """The word as the firmware reads it; ValueError when it is damaged."""
    from lid.gate import model_file, weights

    model_file.Layout(weights.read(io.BytesIO(blob), len(blob)))


@functools.cache
def published_word() -> bytes:
    """A word's blob, to be changed."""
    return compile_network(published_network())


@target()
def word_edits(data: bytes) -> bool:
    """Changes of a word's blob, with its length and checksum set right: what the board loads, the host has sized alike."""
    blob = bytearray(edited(published_word(), data[1:])) if data[:1] != b"\xff" else bytearray(data[1:].ljust(80, b"\0"))
    struct.pack_into("<II", blob, 8, len(blob), zlib.crc32(blob[16:]))
    is_read(lambda: read_word(str(placed(blob, "word.elww"))))
    with refused(ValueError, IndexError):  # IndexError: lid.hearing takes every error for a damaged word
        load_on_board(bytes(blob))
        memory_plan.word_sizes(bytes(blob))
        return True
    return False


@target(mutated_lines, "json")
def model_manifests(data: bytes) -> bool:
    """A network's .json."""
    placed(published_network(), "word.tflite")
    path = placed(data, "word.json")
    return is_read(lambda: models.read_manifest(path)) and is_read(lambda: models.load(str(path)))


@target(mutated)
def sound(data: bytes) -> bool:
    """WAV, FLAC and whatever else libsndfile takes, as `score` and `evaluate` read it."""
    path = placed(data, "sound")
    return is_read(lambda: audio.read_audio(path)) & is_read(lambda: audio.audio_seconds(path))


# -- files that somebody names ---------------------------------------------------------------------------------------------


@target(ending="toml")
def configuration(data: bytes) -> bool:
    """config.toml: `safe` takes of it what it can."""
    placed(data, "config.toml").chmod(0o600)
    problems: list[str] = []

    def read() -> None:
        problems.extend(config_file.read()[1])

    whole = is_read(read)
    for problem in problems:
        check_sentence(UserError(problem))
    for key in config_file.KEYS:
        config_file.get(key, lenient=True)
    return whole and not problems


@target(mutated_lines, "json")
def settings_files(data: bytes) -> bool:
    """`evaluate --config`, `flash --config`, `calibrate --script`, and the session that `calibrate` goes on with."""
    path = placed(data, "settings.json")
    readers = (read_settings, lambda path: read_config(str(path)), lambda path: read_options(path, {}))
    read = [is_read(lambda reader=reader: reader(path)) for reader in readers]  # type: ignore[operator]
    session = SessionFiles(scratch(), "board")
    for kept in (session.session_path, session.profile_path):
        kept.write_bytes(data)
    session.profiles()
    return session.load() is not None or any(read)


@target(mutated_lines, "json")
def file_lists(data: bytes) -> bool:
    """The .json beside a one file, against a file that is not its own."""
    with refused(ValueError, RecursionError):
        told = json.loads(data)
        empty = one_file.Inspection(one_file.Layout("1.26.1", (), partitions.Partition("vfs", 1, 0x81, 0, 0), True), {}, b"")
        wrong = one_file.differences(b"\xff" * 0x2000, empty, told)
        assert wrong
        assert all(is_printable(plain(sentence)) for sentence in wrong)
        return "manifest" not in wrong[0]
    return False


@target()
def partition_tables(data: bytes) -> bool:
    """A partition table whose MD5 is right."""
    entries = data[: len(data) // 32 * 32][:3000]
    table = entries + b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(entries, usedforsecurity=False).digest()
    with refused(partitions.TableError):
        found = partitions.parse(table.ljust(partitions.TABLE_BYTES, b"\xff"))
        for version in ((1, 20, 0), (1, 26, 1)):
            with refused(partitions.TableError):
                place = partitions.file_system(found, version, 4 << 20)
                assert place.size_bytes > 0
                assert place.end <= 4 << 20
        return True
    return False


@target()
def one_files(data: bytes) -> bool:
    """A one file of boot loader, table and program, each with its length before it."""
    parts, at = [], 0
    for _ in range(3):
        size = int.from_bytes(data[at : at + 2], "little")
        parts.append(data[at + 2 : at + 2 + size])
        at += 2 + size
    loader, entries, program = parts
    table = entries + b"\xeb\xeb" + b"\xff" * 14 + hashlib.md5(entries, usedforsecurity=False).digest()
    release = loader.ljust(0x7000, b"\xff")[:0x7000] + table[:0xC00].ljust(0x8000, b"\xff") + program
    whole = (b"\xff" * 0x1000 + release).ljust(0x40000, b"\xff")

    def read() -> None:
        found = one_file.layout(image.check(release, "MicroPython.bin"), 0x40000)
        assert found.file_system.end <= 0x40000

    return is_read(read) | is_read(lambda: one_file.inspect(whole, flash_bytes=0x40000))


@target()
def file_systems(data: bytes) -> bool:
    """littlefs: pieces (block, offset, length, bytes) on eight erased blocks."""
    sector = filesystem.SECTOR_BYTES
    flash, at = bytearray(b"\xff" * 8 * sector), 0
    while at + 5 <= len(data):
        block, offset, size = data[at] % 8, *struct.unpack_from("<HH", data, at + 1)
        piece = data[at + 5 : at + 5 + size]
        begin = block * sector + offset % sector
        flash[begin : begin + len(piece)] = piece
        at += 5 + size
    with refused(filesystem.LittleFSError):
        filesystem.read_files(flash[: 8 * sector])
        return True
    return False


class _Prompt(Repl):
    """A board's prompt that answers with these texts, one behind the other."""

    def __init__(self, answers: list[str]) -> None:
        self._answers = answers

    def run(self, code: str) -> str:
        return self._answers.pop(0) if self._answers else ""


@target(mutated_lines, "jsonl")
def prompts(data: bytes) -> bool:
    """What a board's REPL prints of its MicroPython and its files, where an update asks."""
    repl = _Prompt(data.decode(errors="replace").split("\n"))

    def read() -> None:
        board = deploy.parse_inventory(repl.inventory())
        deploy.check_target(board, "", None, force=False)
        assert is_printable(deploy.release_note(board.arch, board.version))
        repl.hashes(board.files)
        provision.check_kept_word(repl.word(board.model))

    return is_read(read)


@target(ending="txt")
def foreign_programs(data: bytes) -> bool:
    """A chip's boot log, and the image in its flash."""
    for shown in (foreign.program_in(data.decode(errors="replace")), foreign.program_of(data)):
        assert is_printable(shown)
        assert len(shown) < SAY_MAX
    found = foreign.Found("ESP32", "4MB", data[: foreign.LOOK_BYTES], data)
    return bool(foreign.overwritten(found, data.decode(errors="replace")))


@target(ending="txt")
def release_sums(data: bytes) -> bool:
    """SHA256SUMS and its signature."""
    hashes, findings = sums.parse(data)
    findings += sums.compare(hashes, {})
    assert all(is_printable(finding.say) and len(finding.say) < SAY_MAX for finding in findings)
    signed = signature.parse(data)
    assert signed is None or signed.fingerprint
    return bool(hashes) or signed is not None


@target()
def release_archives(data: bytes) -> bool:
    """Wheel, page, list of images and bill of materials of a release: a ZIP file as each of them."""
    files = {
        "earlid-1.0-py3-none-any.whl": data, "earlid-1.0.tar.gz": b"", contents.WEB: data, contents.BILL: b"{}",
        "earlid-no-word.bin": b"", "earlid-no-word.json": b"{}",
    }  # fmt: skip
    for finding in contents.disagreements(files):
        assert len(finding.say) < SAY_MAX
    contents.commit(data)
    with refused(ValueError, KeyError, TypeError):  # of what its JSON holds, as `disagreements` has them
        contents.words(data)
        return True
    return False


@target(ending="txt")
def mqtt_messages(data: bytes) -> bool:
    """Messages of others: retained or not, topic and payload. Only a fresh `close` on the one topic closes lids."""
    closed: list[int] = []
    topics = Topics("earlid", "homeassistant")
    bridge = Bridge(
        Location(scratch() / "none.sqlite", ""), "fuzz", topics, [], lambda bridge: None, lambda: [], lambda text: None  # type: ignore[arg-type,return-value]
    )  # fmt: skip
    bridge._close = lambda: closed.append(1)  # type: ignore[method-assign]
    retained = data[:1] == b"R"
    topic, _, payload = data[1:].partition(b" ")
    text = topic.decode(errors="replace")
    bridge.take(text, payload, retained)
    right = topics.is_close(text, payload, retained=retained)
    assert not (right and retained)
    bridge._retained.news({}, [], [], 1e9)
    return right
