# SPDX-License-Identifier: MIT
"""Setting `decision`: asks for presence, is told in `hello` and in the word's receipt, and kept settings of before stay valid."""

from __future__ import annotations

import json

import pytest
from earlid.gate import models
from earlid.scores import score_text
from lid import config, record

from tests.firmware.kit import Bench
from tests.gate import signals

OWN = config.defaults()["decision"]
WORD = signals.at_dbfs(signals.flite("Alexa", "rms"), -24)


@pytest.mark.parametrize(("old", "new"), [(0, 1), (1, 0)])
def test_any_change_of_decision_asks_for_presence(old: int, new: int) -> None:
    before, after = config.check({"decision": old}), config.check({"decision": new})
    assert config.loosens(before, after)
    assert not config.loosens(before, {**before, "near_miss_q8": 90})


@pytest.mark.parametrize(("kept", "decision"), [({}, OWN), ({"dim": 1}, OWN), ({"cutoff_q8": 0}, OWN), ({"cutoff_q8": 9}, 0)])
def test_kept_configuration_without_a_decision_loads_with_that_of_its_cutoff(kept: dict[str, int], decision: int) -> None:
    data = config.seal(json.dumps(kept).encode())
    assert config.parse(data) == config.check({**kept, "decision": decision})
    assert config.parse(config.dump(config.check({"cutoff_q8": 199, "decision": 1})))["decision"] == 1, "one that has it keeps it"


@pytest.mark.parametrize("decision", [0, 1])
def test_hello_and_receipt_of_a_word_tell_the_decision(decision: int) -> None:
    settings = config.dump(config.check({"decision": decision}))
    with Bench(word=True, files={"config.json": settings}) as bench:
        looks = bool(decision and models.load("alexa").look)
        assert bench.hello()["decision"] == looks
        bench.board.play(WORD)
        bench.board.run_ms(3000)
        opened = bench.last_record("open")
        assert opened.reason == "word"
        assert bool(opened.flags & record.LOOK) == looks
        assert opened.score >= opened.b, "the score is in the cutoff's scale"
        assert score_text(opened.score, opened.b, opened.flags).endswith("look") == looks
        bench.press()
        bench.board.run_ms(500)
        bench.open_by_button()
        assert not bench.last_record("open").flags & record.LOOK
