# SPDX-License-Identifier: MIT
"""Bring-up: the sequence through a freshly soldered board, one act at a time; the same for a person and for a jig.

The host watches, has a self-test made and closes. The lid opens by the talk button, which the operator presses.
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from lid import circuit, record
from lid.wire_schema import SelfTestBit, Telemetry

from earlid.board.consent import require_version_2
from earlid.board.link import BoardGone
from earlid.doctor import bring_up_rules as rules
from earlid.doctor.board_watch import EVERY_MS, BoardRestarted, BoardWatch
from earlid.doctor.check_sheet import FAILED, PASSED, SKIPPED, CheckSheet, Outcome
from earlid.doctor.model import Diagnosis
from earlid.doctor.operators import Operator

SETTLE_MS = 2_500  # from a throw of the switch to a rail in its window, with the board's debouncing
STEADY_MS = 200
GAP_MS = 500  # no telemetry for so long: the board tests itself
OPEN_MS = 600  # a figure of the open rail takes so long
CLOSE_MS = 1_500
AMBER2 = "the lid's amber light burns while it is open"
MUTE = "MUTE takes an open lid's rails away, and the firmware runs on"
RISEN = 0.9
TRIES = 2  # at throwing the switch while the lid is open


def outcome(good: bool) -> Outcome:
    """`passed` or `failed`."""
    return PASSED if good else FAILED


def _rail1_is_good(line: Telemetry) -> bool:
    return bool(line["sentinel"] >= circuit.RAIL_GOOD_MV)


class BringUp:
    """One board's way through all checks.

    Args:
        watch: the board.
        operator: who acts at it.
        sheet: filled in on the way, so that an interruption loses nothing.
    """

    def __init__(self, watch: BoardWatch, operator: Operator, sheet: CheckSheet) -> None:
        self._watch, self._operator, self._sheet = watch, operator, sheet
        self._consented = False
        self._muted = rules.Senses(0, 0)
        self._red: bool | None = None  # seen in MUTE
        self._lid = 2  # the lid's channel; 1 where the board's own microphone is the guarded one

    def run(self) -> None:
        """All checks; whatever ends them, the board is left with its lid closed and nothing waiting.

        Raises:
            UserError: the board is gone, or its firmware too old.
            KeyboardInterrupt: Ctrl-C, or the answers ended.
        """
        try:
            hello = self._watch.hello()
            require_version_2(hello["fw"], hello["proto"])
            self._sheet.board, self._sheet.firmware = hello["board"], hello["fw"]
            self._lid = hello.get("channels", 2)
            self._consented = self._operator.consents()
            self._in_mute()
            self._in_arm()
            self._self_test()
            if self._open():
                self._look_at_amber2()
                self._mute_while_open()
            else:
                for key, title in (("amber2", AMBER2), ("mute", MUTE)):
                    self._skip(key, title, "the lid was not opened and closed as it should")
            self._lights()
            self._journal()
            self._sheet.ended = True
        except (BoardRestarted, BoardGone) as error:
            if isinstance(error, BoardGone) and not self._watch.came_back():
                raise
            self._check("running", "the firmware ran on", [rules.find("restarted")])
        finally:
            self._watch.make_safe()

    # --- helpers -------------------------------------------------------------------------------------------------

    def _check(self, key: str, title: str, findings: Iterable[Diagnosis], note: str = "", good: bool = True) -> bool:
        found = self._sheet.find(findings)
        self._sheet.note(key, title, outcome(good and not found), note)
        return good and not found

    def _skip(self, key: str, title: str, why: str) -> None:
        self._sheet.note(key, title, SKIPPED, why)

    def _settled(self, latched: bool) -> Telemetry:
        """The newest telemetry once the switch is read as it was thrown, or after a while that it is not."""
        high, low = circuit.SENSE_HIGH_MV, circuit.SENSE_LOW_MV
        lines = self._watch.lines

        def holds() -> bool:
            if not lines:
                return False
            line = lines[-1]
            made, other = (line["mute"], line["arm"]) if latched else (line["arm"], line["mute"])
            rail_good = latched or line["sentinel"] >= circuit.RAIL_GOOD_MV
            return made >= high and other <= low and rail_good and line["state"] in ("muted" if latched else "closed", "fault")

        with self._watch.telling():
            lines = self._watch.lines
            self._watch.until(holds, SETTLE_MS)
            self._watch.go_on(STEADY_MS)
            return lines[-1]

    def _why_not_closed(self) -> str:
        hello = self._watch.hello()
        state = hello["state"]
        if state == "closed":
            return ""
        if state == "fault":
            return f"the board is in fault ({hello['why']}): both relays rest until it is mended and plugged in anew"
        return f"the board says that it is {state}"

    # --- the checks ----------------------------------------------------------------------------------------------

    def _in_mute(self) -> None:
        self._operator.throw(True)
        line = self._settled(True)
        self._muted = rules.Senses(line["arm"], line["mute"])
        self._sheet.figures |= {
            "muted_arm_mv": line["arm"], "muted_mute_mv": line["mute"],
            "muted_rail1_mv": line["sentinel"], "muted_rail2_mv": line["rail"],
        }  # fmt: skip
        live = [n for n, mv in ((1, line["sentinel"]), (2, line["rail"])) if mv > circuit.RAIL_LIVE_MV]
        self._check("rails-muted", "both rails are dead in MUTE", (rules.find("rail-live-muted", n) for n in live))
        self._red = self._operator.sees("red", "Is the red light on, and are both amber lights off?")

    def _in_arm(self) -> None:
        self._operator.throw(False)
        line = self._settled(False)
        self._sheet.figures |= {
            "arm_mv": line["arm"], "mute_mv": line["mute"], "rail1_mv": line["sentinel"], "closed_rail2_mv": line["rail"],
        }  # fmt: skip
        armed = rules.Senses(line["arm"], line["mute"])
        self._check("senses", "the switch is read right in both positions", rules.senses(self._muted, armed, self._red))
        if self._red is None:
            self._skip("red", "the red light burns in MUTE", "nobody looked; its node was read")
        else:
            self._sheet.note("red", "the red light burns in MUTE, the amber ones do not", outcome(self._red))
        if line["sentinel"] < circuit.RAIL_GOOD_MV:
            self._skip("amber1", "the first amber light burns", "its rail is not live")
            return
        amber = self._operator.sees("amber1", "Is the first amber light (the board's own microphone) on, and the red light off?")
        if amber is None:
            self._skip("amber1", "the first amber light burns", "nobody looked")
        else:
            self._check("amber1", "the first amber light burns", [] if amber else [rules.find("amber-dead", 1)])

    def _self_test(self) -> None:
        title = "self-test: K1, its rail, clamps and pumps"
        microphone = self._operator.sees("microphone", "Is the board's own microphone (the INMP441 module) in its socket?")
        why, clicked = self._why_not_closed(), None
        if not why:
            with self._watch.telling():
                tested = self._watch.self_test()
                if isinstance(tested, str):
                    why = tested
                elif self._watch.until(lambda: any(map(_rail1_is_good, self._after_test())), SETTLE_MS):
                    after = self._after_test()
                    self._sheet.figures["arm1_ms"] = after[-1]["ms"] - after[0]["ms"] + EVERY_MS
        records = self._watch.newest_records()
        tests = [one for one in records if one.event == "selftest" and not one.flags & record.MUTED]
        if not tests:
            self._skip("self-test", title, why or "none was made in ARM since the start")
            return
        bits, drop_ms = tests[-1].a, tests[-1].b
        self._sheet.figures["selftest_bits"] = bits
        one_channel = rules.OF_RELAY if self._lid == 1 else 0  # which nothing but an opening feeds
        if bits & SelfTestBit.SENTINEL_RISES:
            self._sheet.figures["drop1_ms"] = drop_ms
        needs_ear = bits & SelfTestBit.COIL_HOLDS and not (bits | one_channel) & SelfTestBit.SENTINEL_RISES
        if needs_ear and not why:
            clicked = self._operator.sees("click1", "Did a relay click just now?")
        note = "the one of the start" if why else ""
        self._check("self-test", title, rules.self_test(bits | one_channel, records, bool(microphone), clicked), note)
        if not microphone:
            self._skip("microphone", "the microphone's samples move", "no microphone in its socket")

    def _after_test(self) -> list[Telemetry]:
        """The telemetry after the gap that a self-test makes."""
        lines = self._watch.lines
        return next((lines[n:] for n in range(len(lines) - 1, 0, -1) if lines[n]["ms"] - lines[n - 1]["ms"] > GAP_MS), [])

    def _open(self) -> bool:
        title = f"K{self._lid} opens and closes"
        why = self._why_not_closed() if self._consented else "no consent: something may be connected behind the lid"
        if why:
            self._skip("open", title, why)
            return False
        watch = self._watch
        with watch.telling():
            watch.go_on(STEADY_MS)
            rest_mv = round(median(line["arm"] for line in watch.lines))
            self._operator.press_talk()
            if not watch.until(lambda: watch.record("open") is not None, self._operator.patience_ms):
                return self._check("open", title, [rules.find("talk-silent")])
            opened = watch.record("open")
            assert opened is not None
            watch.until(lambda: watch.record("close") is not None or self._sags(rest_mv), OPEN_MS)
            if watch.record("close") is None:
                watch.close_lid()
                watch.until(lambda: watch.record("close") is not None, CLOSE_MS)
            watch.go_on(STEADY_MS)
            lines = [line for line in watch.lines if line["ms"] >= opened.ms]
            closed, fault = watch.record("close"), watch.record("fault")
        sag_mv = rest_mv - min(line["arm"] for line in lines[:-1])
        reason, cause = (fault.reason if fault else ""), (closed.reason if closed else "")
        clicked = self._operator.sees("click2", "Did a relay click just now?") if reason == "no-close" else None
        if cause != "mute":
            self._sheet.figures["sag2_mv"] = max(0, sag_mv)
        findings = list(rules.opening(reason, cause, sag_mv if cause != "mute" else 0, clicked, self._lid))
        if not findings:
            findings = list(self._times(opened.ms, opened.ms + (closed.a if closed else 0), lines))
        return self._check("open", title, findings, f"by the talk button, closed by {cause or 'nothing'}", closed is not None)

    def _look_at_amber2(self) -> None:
        amber = self._operator.sees(
            "amber2",
            "Did the lid's amber light come on, and go out again? (The second one; of a one-channel board the only one.\n"
            "An electret board has none: answer y if its relay clicked twice.)",
        )
        if amber is None:
            self._skip("amber2", AMBER2, "nobody looked")
        else:
            self._check("amber2", AMBER2, [] if amber else [rules.find("amber-dead", self._lid)])

    def _sags(self, rest_mv: int) -> bool:
        newest = self._watch.lines[-2:]
        return len(newest) == 2 and all(line["state"] == "open" and line["arm"] < rest_mv - rules.SAG_MV for line in newest)

    def _times(self, opened_ms: int, released_ms: int, lines: list[Telemetry]) -> Iterable[Diagnosis]:
        """The figures of an opening, and what they tell."""
        live = [line for line in lines if line["rail"] > circuit.RAIL_LIVE_MV]
        dead = [line for line in lines if line["ms"] > released_ms and line["rail"] <= circuit.RAIL_LIVE_MV]
        if not live or not dead:
            return [rules.find("relay-silent", self._lid)]
        # The board itself holds the rail against its recipe's figure; here a rail is good when it has come to rest.
        rest_mv = median(line["rail"] for line in live if line["ms"] <= released_ms)
        good = [line for line in live if line["rail"] >= RISEN * rest_mv]
        arm_most_ms = good[0]["ms"] - opened_ms
        least_ms, most_ms = max(0, live[-1]["ms"] - released_ms), dead[0]["ms"] - released_ms
        self._sheet.figures |= {
            "rail2_mv": round(median(line["rail"] for line in good)), "arm2_ms": arm_most_ms,
            "drop2_least_ms": least_ms, "drop2_most_ms": most_ms,
        }  # fmt: skip
        return rules.timing(arm_most_ms - 2 * EVERY_MS, least_ms, most_ms, self._lid)

    def _mute_while_open(self) -> None:
        watch = self._watch
        for _ in range(TRIES):
            with watch.telling():
                self._operator.hold_talk()
                if watch.until(lambda: watch.record("open") is not None, self._operator.patience_ms):
                    watch.until(lambda: watch.lines[-1]["rail"] > circuit.RAIL_LIVE_MV, OPEN_MS)
                    self._operator.throw_now()
                    watch.until(lambda: watch.record("mute") is not None, self._operator.patience_ms)
                    watch.go_on(STEADY_MS)
                self._operator.let_go()
                closed, lines = watch.record("close"), watch.lines
            if closed and closed.reason == "mute":
                break
            self._operator.throw(False)
        else:
            self._skip("mute", MUTE, "the switch was not thrown while the lid was open")
            return
        muted = [line for line in lines if line["arm"] < circuit.SENSE_HIGH_MV]
        armed = [line for line in lines if line["ms"] < muted[0]["ms"]]
        live = [line for line in muted if max(line["rail"], line["sentinel"]) > circuit.RAIL_LIVE_MV]
        dead = [line for line in muted if not live or line["ms"] > live[-1]["ms"]]
        least_ms = live[-1]["ms"] - muted[0]["ms"] if live else 0
        self._sheet.figures["mute_least_ms"] = least_ms
        if dead:
            self._sheet.figures["mute_most_ms"] = dead[0]["ms"] - armed[-1]["ms"]
        question = "Did every amber light go out at once, and did the red light come on?"
        if self._red is False:  # found dead already
            question = "Did every amber light go out at once?"
        seen = self._operator.sees("muted", question)
        in_time = least_ms <= circuit.MUTE_MAX_MS and bool(dead) and seen is not False
        self._check("mute", MUTE, [] if in_time else [rules.find("mute-slow", self._lid)])
        self._operator.throw(False)

    def _lights(self) -> None:
        asked = (
            ("status", "status-dead", "the status light flashes", "Does the status light flash, three times every second?"),
            ("buzzer", "buzzer-dead", "the buzzer sounds", "Does the buzzer chirp, three times every three seconds?"),
        )
        for key, finding, title, question in asked:
            with self._watch.asking():  # anew: a request waits for a minute only
                seen = self._operator.sees(key, question)
            if seen is None:
                self._skip(key, title, "nobody looked or listened")
            else:
                self._check(key, title, [] if seen else [rules.find(finding)])

    def _journal(self) -> None:
        known = [finding.key for finding in self._sheet.findings]
        records = self._watch.newest_records()
        self._check("journal", "the journal tells of no other fault", rules.journal_faults(records, known))
