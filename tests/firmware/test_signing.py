# SPDX-License-Identifier: MIT
"""Canonical text, digest and MAC of a request: vectors, and no two requests with one text."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lid import signing
from lid.wire_schema import REQUESTS, field_of, fields

KEY = bytes(range(32))
NONCE = "00112233445566ff"
VECTORS = [
    (
        {"id": 7, "do": "clock", "wall_ms": 1763780000000, "unc_ms": 20, "client": "5eed", "mac": "00" * 8},
        "clock client=5eed unc_ms=20 wall_ms=1763780000000",
        "5a8aaaf0",
        "c8690216e5fa4046",
    ),
    ({"id": 8, "do": "pair"}, "pair", "47d8bd46", "428431357e78e7e5"),
    (
        {"do": "config-set", "config": {"silence_ms": 2400, "open_ms": 4000}, "client": "1"},
        "config-set client=1 config.open_ms=4000 config.silence_ms=2400",
        "1262170e",
        "f87152339c4bea61",
    ),
]


@pytest.mark.parametrize(("body", "text", "digest", "mac"), VECTORS)
def test_text_digest_and_mac_are_as_written_down(body, text, digest, mac):
    assert signing.canonical(body) == text
    assert signing.digest(text) == digest == hashlib.sha256(text.encode()).hexdigest()[:8]
    assert signing.request_mac(KEY, NONCE, text) == mac
    assert mac == hmac.digest(KEY, f"earlid request {NONCE} {text}".encode(), "sha256").hex()[:16]


def values(plain):
    texts = st.text("0123456789abcdef =.-", max_size=8)
    return {int: st.integers(-5, 5), str: texts}.get(plain, st.dictionaries(texts, st.integers(-5, 5), max_size=3))


requests = st.one_of(
    st.fixed_dictionaries(
        {"do": st.just(do)},
        optional={"client": values(str), "extra": values(dict), "ms client=1": values(int)}
        | {name: values(field_of(annotated)[0]) for name, annotated in fields(request.arguments).items()},
    )
    for do, request in REQUESTS.items()
)


@given(first=requests, second=requests)
def test_different_requests_have_different_texts(first, second):
    texts = []
    for body in (first, second):
        try:
            texts.append(signing.canonical(body))
        except ValueError:
            return
    # An empty object asks for nothing.
    same = [{name: value for name, value in body.items() if value != {}} for body in (first, second)]
    assert (texts[0] == texts[1]) == (same[0] == same[1])


@pytest.mark.parametrize("bad", [1.5, None, True, [1], {"a": {}}, {"a": "x"}, {"a": 1.5}, "5 seq=1", "a=b"], ids=str)
def test_request_without_a_text_of_its_own_is_refused(bad):
    with pytest.raises(ValueError, match="text"):
        signing.canonical({"do": "ack", "seq": 5, "link": bad})


def test_order_id_and_mac_change_nothing_and_all_else_does():
    body = {"id": 1, "do": "ack", "seq": 5, "link": "00" * 12, "client": "ab"}
    text = signing.canonical(body)
    assert signing.canonical({**dict(reversed(list(body.items()))), "id": 2, "mac": "cd"}) == text
    for name in ("do", "seq", "link", "client"):
        assert signing.canonical({**body, name: body[name] * 2}) != text
    right = signing.request_mac(KEY, NONCE, text)
    assert right != signing.request_mac(KEY, NONCE[:-1] + "e", text)
    assert right != signing.request_mac(KEY[:-1] + b"\0", NONCE, text)
