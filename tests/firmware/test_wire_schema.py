# SPDX-License-Identifier: MIT
"""The wire schema: messages of the firmware match `lid.wire_schema` field for field, and so does PROTOCOL.md."""

import ast
import re
from pathlib import Path

import lid
import pytest
from earlid.board import protocol_page
from earlid.doctor import bug_report
from earlid.flash import firmware_build
from earlid.virtual import littlefs_image
from hypothesis import given
from hypothesis import strategies as st
from lid import config, record, signing, wire, wire_schema
from lid.wire_schema import EVENTS, REQUESTS, Hello, field_of, fields, known_fields, problem

from tests.board import fake_board
from tests.firmware.kit import Bench
from tests.firmware.test_wire import json_values

FIRMWARE = Path(lid.__file__).parent.parent
PAGE = (FIRMWARE / "PROTOCOL.md").read_text()
ARGUMENTS = {
    "sync": {"from": 1, "max": 64},
    "clock": {"wall_ms": 1763780000000, "unc_ms": 20},
    "telemetry": {"every_ms": 100},
    "config-set": {"config": {"open_ms": 4000}},
    "probe": {"ms": 100},
}
REFUSED = {  # a request, its limit in ms, its arguments
    "unknown": ("open", 3000, {}),
    "argument": ("sync", 3000, {}),
    "state": ("selftest", 3000, {}),
    "mac": ("hello", 3000, {"mac": "0" * 16}),
    "busy": ("probe", 3000, {"ms": 100}),
}
CONSENT = [do for do, request in REQUESTS.items() if request.consent != "no"]
MESSAGES = [
    message
    for message in vars(wire_schema).values()
    if isinstance(message, type) and message.__module__ == wire_schema.__name__ and hasattr(message, "__annotations__")
    and message not in (wire_schema.Field, wire_schema.Event, wire_schema.Request, wire_schema.SelfTestBit)
]  # fmt: skip

SECOND = (wire_schema.Ask, wire_schema.Wait, wire_schema.WaitReply)  # messages that version 2 brought as a whole


def check(value, message):
    """Exactly the message: all that it must have and nothing that the schema has not, of its types."""
    assert problem(value, message) == "", value
    assert set(value) <= set(fields(message)), message.__name__


def check_record(row):
    entry = wire_schema.Record._make(row)
    check(entry._asdict(), wire_schema.Record)
    assert entry.reason in EVENTS[entry.event].reasons, (entry.event, entry.reason)


def check_all(bodies):
    """Every line that a board sent by itself."""
    for body in bodies:
        if "rec" in body:
            check_record(body["rec"])
        elif "tm" in body:
            check(body["tm"], wire_schema.Telemetry)
        elif "ask" in body:
            check(body["ask"], wire_schema.Ask)
        elif "wait" in body:
            check(body, wire_schema.WaitReply)
        elif "hi" in body and "re" not in body:
            check(body["hi"], Hello if not body["hi"]["maintenance"] else wire_schema.MaintenanceHello)
        if "re" not in body:
            assert len(body) == 1


def test_every_request_and_message_of_the_firmware_matches_the_schema():
    with Bench(word=True) as bench:
        check(bench.request("hello", brief=1)["hi"], wire_schema.BriefHello)
        bench.press()
        bench.board.run_ms(500)
        bench.press()
        bench.board.run_ms(500)
        number = bench.announce("pair")
        check(bench.hello()["ask"], wire_schema.Ask)
        bench.hold_to_consent()
        key = bytes.fromhex(bench.wait_for_reply(number)["key"])
        newest = bench.records()[-1]
        arguments = ARGUMENTS | {"ack": {"seq": newest.seq, "link": newest.link}}
        for do in REQUESTS:
            if do in CONSENT:
                reply = bench.request_with_consent(do, **arguments.get(do, {}))
            else:
                reply = bench.signed(key, do, limit_ms=8000, **arguments.get(do, {}))
            if do == "hello":
                check(reply["hi"], Hello)
            check(reply, REQUESTS[do].reply)
            assert "nonce" in reply or do in (*CONSENT, "sync")
        assert set(bench.request("config-get")["config"]) == set(config.SCHEMA)
        bench.board.mute(True)
        bench.board.run_ms(300)
        bench.board.mute(False)
        bench.board.run_ms(500)
        check_all(bench.messages())
        sent = {next(iter(set(body) & {"rec", "tm", "hi", "re", "ask"})) for body in bench.messages()}
        assert sent == {"rec", "tm", "hi", "re", "ask"}


def test_longest_request_of_each_kind_fits_a_board():
    settings = {name: high for name, (_, _, high, _) in config.SCHEMA.items()}
    for do, request in REQUESTS.items():
        arguments = {}
        for name, annotated in fields(request.arguments).items():
            plain, field, _ = field_of(annotated)
            arguments[name] = settings if name == "config" else field.high if plain is int else "0" * 24
        body = {"id": wire.SEQ_WRAP - 1, "do": do, **arguments}
        assert signing.canonical(body)
        line = wire.encode(wire.SEQ_WRAP - 1, body)
        assert len(line) <= wire.BOARD_LINE_MAX, f"{do} has {len(line)} bytes"


@pytest.mark.parametrize("err", [err for err in wire_schema.ERRORS if err != "presence"])
def test_every_refusal_of_the_firmware_matches_the_schema(err):
    with Bench() as bench:
        if err == "flash":
            bench.board.flash_error()
        elif err == "state":
            bench.board.mute(True)
            bench.board.run_ms(300)
        if err in ("consent", "flash"):
            number = bench.announce("pair")
            if err == "flash":
                bench.hold_to_consent()
            else:
                bench.request("cancel")
            reply = bench.wait_for_reply(number)
        else:
            for _ in range(5 if err == "busy" else 1):
                reply = bench.request(*REFUSED[err][:2], **REFUSED[err][2])
        check(reply, wire_schema.Refusal)
        assert reply["err"] == err
        assert ("ms" in reply) == (err == "busy")
        if err == "unknown":
            assert reply["say"].rpartition(": ")[2].split() == list(REQUESTS), "a refused record has a request's place"


def test_maintenance_hello_matches_the_schema():
    with Bench(start=False) as bench:
        bench.board.talk(True)
        bench.board.start()
        bench.board.run_ms(4000)
        greetings = [body["hi"] for body in bench.messages() if "hi" in body]
        assert [greeting["maintenance"] for greeting in greetings] == [True]
        check_all(bench.messages())


RANGES = [
    (do, name, field_of(annotated)[1])
    for do, request in REQUESTS.items()
    for name, annotated in fields(request.arguments).items()
    if field_of(annotated)[0] is int and name != "brief"
]


def test_arguments_out_of_the_schemas_ranges_are_refused_by_the_firmware():
    with Bench() as bench:
        for do, name, field in RANGES:
            rest = ARGUMENTS.get(do, {"seq": 1, "link": "0" * 24})
            for value in (field.low - 1, field.high + 1):
                reply = bench.request(do, limit_ms=8000, **{**rest, name: value})
                assert (reply["ok"], reply.get("err")) == (False, "argument"), (do, name, value)
                assert name in reply["say"]
            if do != "ack":  # in range, but of no record
                for value in (field.low, field.high):
                    assert bench.request(do, limit_ms=8000, **{**rest, name: value})["ok"], (do, name, value)


def test_record_fields_and_limits_match_the_journals():
    assert wire_schema.Record._fields == (*record.FIELDS, "link", "mac")
    kinds = {name: field_of(annotated) for name, annotated in fields(wire_schema.Record).items()}
    for name, limit in zip(record.FIELDS, record.LIMITS, strict=True):
        if name not in ("event", "reason"):
            assert (kinds[name][0], kinds[name][1].high) == (int, limit), name
    assert tuple(EVENTS) == record.EVENTS
    assert {reason for event in EVENTS.values() for reason in event.reasons} == set(record.REASONS)


def test_self_test_bits_match_the_firmwares():
    source = (FIRMWARE / "lid" / "selftest.py").read_text()
    bits = dict(re.findall(r"^_([A-Z_]+) = const\((\d+)\)", source, re.MULTILINE))
    assert {name: bits.get(name) for name in wire_schema.SelfTestBit.__members__} == {
        name: str(int(bit)) for name, bit in wire_schema.SelfTestBit.__members__.items()
    }
    assert list(wire_schema.SELF_TEST) == list(wire_schema.SelfTestBit)


def test_every_setting_is_described():
    assert list(wire_schema.SETTINGS) == list(config.SCHEMA)


def test_fields_newer_than_the_first_version_are_optional():
    for message in MESSAGES:
        for name, annotated in fields(message).items():
            _, field, may_be_absent = field_of(annotated)
            assert field.since == 1 or may_be_absent or message in SECOND, (message, name)
            assert field.meaning or name == "hi", (message, name)


def test_schema_is_never_deployed():
    assert "lid/wire_schema" not in firmware_build.source_files(FIRMWARE)
    assert "lid/wire_schema.py" not in littlefs_image.firmware_files(FIRMWARE)
    assert "wire_schema" not in (FIRMWARE / "MANIFEST.json").read_text()
    for path in (FIRMWARE / "lid").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                assert "wire_schema" not in ast.unparse(node), path


def hello_of(**changes):
    board = fake_board.FakeBoard("00112233aabbccdd", [])
    board.stop()
    return board.hello() | changes


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({}, ""),
        ({"humidity": 40, "nested": {"a": [1]}}, ""),
        ({"seq": "9"}, "seq is no int"),
        ({"seq": True}, "seq is no int"),
        ({"seq": -1}, "seq is not from 0 to 4294967295"),
        ({"ms": 10**400}, "ms is not from 0"),
        ({"mute": 1}, "mute is no bool"),
        ({"state": "ajar"}, "state is none of"),
        ({"state": ["open"]}, "state is none of"),
        ({"board": "00112233AABBCCDD"}, "board has another form"),
        ({"board": "00112233aabbccdd\n"}, "board is too long or not printable"),
        ({"word": "x" * 5000}, "word is too long"),
        ({"word": "\x1b[2J"}, "word is too long or not printable"),
        ({"link": None}, "link is no str"),
    ],
)
def test_malformed_hello_is_named_by_its_field(changes, wrong):
    assert problem(hello_of(**changes), Hello).startswith(wrong)
    assert bool(problem(hello_of(**changes), Hello)) == bool(wrong)


def test_known_fields_leave_out_what_the_schema_does_not_have():
    good = hello_of()
    hello = good | {"humidity": 40, "word": "\x1b[2J", "guarded_mv": "0", "sentinel_mv": -1}
    dropped = ("word", "guarded_mv", "sentinel_mv")
    assert known_fields(hello, Hello) == {name: value for name, value in good.items() if name not in dropped}
    assert known_fields([hello], Hello) == {}


def test_missing_field_is_named():
    for name, annotated in fields(Hello).items():
        greeting = hello_of()
        greeting.pop(name, None)
        assert problem(greeting, Hello) == ("" if field_of(annotated)[2] else f"{name} is missing")


@given(value=json_values, names=st.lists(st.sampled_from(sorted(fields(Hello))), max_size=3), inner=json_values)
def test_hostile_values_never_crash_the_check(value, names, inner):
    hostile = hello_of() | dict.fromkeys(names, inner)
    for message in MESSAGES:
        assert isinstance(problem(value, message), str)
    assert isinstance(problem(hostile, Hello), str)
    assert isinstance(
        problem({"re": 1, "ok": True, "hi": hostile, "config": inner, "hum_q4": inner}, wire_schema.HelloReply), str
    )


def test_protocol_page_tables_match_the_schema():
    assert protocol_page.render(PAGE) == PAGE, "run `make firmware`"
    assert set(re.findall(r"<!-- table: (\w+) -->", PAGE)) == set(protocol_page.tables())


def test_protocol_page_examples_decode_and_match_the_schema():
    lines = re.findall(r"^([<>]) (#.*)$", PAGE.partition("## Examples")[2], re.MULTILINE)
    assert len(lines) > 8
    asked = {}
    for way, line in lines:
        _, body = wire.decode(line.encode())
        if way == ">":
            asked[body["id"]] = body
            signature = {name: body.pop(name) for name in fields(wire_schema.Signature) if name in body}
            assert problem(signature, wire_schema.Signature) == ""
            arguments = {name: value for name, value in body.items() if name not in ("id", "do")}
            assert problem(arguments, REQUESTS[body["do"]].arguments) == ""
            assert set(arguments) <= set(fields(REQUESTS[body["do"]].arguments))
        elif "re" in body:
            request = asked[body["re"]]
            done = wire_schema.WaitReply if "wait" in body else REQUESTS[request["do"]].reply
            expected = done if body["ok"] else wire_schema.Refusal
            check(body, wire_schema.BriefHelloReply if request.get("brief") else expected)
        else:
            check_all([body])


def test_protocol_page_code_equals_the_codec():
    scope: dict = {}
    exec(re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1], scope)
    body = {"id": 7, "do": "sync", "from": 1, "max": 64}
    line = scope["encode"](1000007, body)
    assert line == wire.encode(1000007, body)
    assert scope["decode"](line[:-1]) == wire.decode(line[:-1]) == (7, body)
    for at in range(len(line) - 1):
        with pytest.raises(ValueError, match=r"frame|literal|JSON|Expecting"):
            scope["decode"](line[:at] + bytes([line[at] ^ 1]) + line[at + 1 : -1])


def test_fake_board_matches_the_schema():
    slots = fake_board.seal_records("00112233aabbccdd", 3)
    board = fake_board.FakeBoard("00112233aabbccdd", slots)
    board.stop()
    check(board.hello(), Hello)
    check(board.telemetry(), wire_schema.Telemetry)
    assert set(fake_board.BRIEF) == set(fields(wire_schema.BriefHello))
    for slot in slots:
        check_record(record.slot_to_wire(slot))


def test_bug_report_fields_are_in_the_schema():
    assert set(bug_report.HELLO) <= set(fields(Hello))
    assert set(bug_report.TELEMETRY) <= set(fields(wire_schema.Telemetry))
    assert set(bug_report.RECORD) <= set(wire_schema.Record._fields)
