# SPDX-License-Identifier: MIT
"""The result cache: torn lines, duplicate results, two writers."""

import json

import pytest
from earlid.errors import UserError
from earlid.evaluate.result_cache import ResultCache


def result(number):
    return {"key": f"{number:032x}", "events": [number]}


def test_results_and_digests_persist(tmp_path):
    path = tmp_path / "a" / "state.jsonl"
    with ResultCache(path) as store:
        assert store.put(result(1))
        store.store_digest("/x", 5, 7, "ab")
    with ResultCache(path) as store:
        assert store.get(f"{1:032x}") == result(1)
        assert store.get(f"{2:032x}") is None
        assert store.digest_of("/x", 5, 7) == "ab"
        assert store.digest_of("/x", 5, 8) is None


def test_result_is_stored_once(tmp_path):
    with ResultCache(tmp_path / "s") as store:
        assert store.put(result(1))
        assert not store.put({**result(1), "events": [99]})
        assert store.get(f"{1:032x}") == result(1)
    assert (tmp_path / "s").read_bytes().count(b"\n") == 1


def test_torn_last_line_is_dropped_and_writing_continues(tmp_path):
    path = tmp_path / "s"
    lines = [json.dumps(result(n)).encode() + b"\n" for n in range(3)]
    whole = b"".join(lines)
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        kept = whole[:cut].count(b"\n")
        with ResultCache(path) as store:
            assert [store.get(f"{n:032x}") is not None for n in range(3)] == [n < kept for n in range(3)]
            store.put(result(7))
        with ResultCache(path) as store:
            assert store.get(f"{7:032x}") == result(7), f"cut at {cut}"


def test_damaged_line_is_dropped(tmp_path):
    path = tmp_path / "s"
    path.write_bytes(b"{]}\n[]\n7\n{}\n" + json.dumps(result(1)).encode() + b"\n")
    with ResultCache(path) as store:
        assert store.get(f"{1:032x}") == result(1)


def test_file_of_another_kind_or_a_link_is_left_as_it_is(tmp_path):
    path = tmp_path / "s"
    path.write_text("three years\nof work, without an end of line")
    with pytest.raises(UserError, match="s holds no state of an evaluation; choose another place with --out"):
        ResultCache(path)
    assert path.read_text() == "three years\nof work, without an end of line"
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "none")
    with pytest.raises(UserError, match=r"link is a link to .*none"):
        ResultCache(link)
    assert not (tmp_path / "none").exists()


def test_second_writer_is_refused(tmp_path):
    with ResultCache(tmp_path / "s"), pytest.raises(UserError, match="another evaluation"):
        ResultCache(tmp_path / "s")


def test_unwritable_path_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--out"):
        ResultCache(tmp_path / "file" / "state.jsonl")
