# SPDX-License-Identifier: MIT
"""The steps of a calibration over the serial link: each prompts a person, reads telemetry, and saves what it measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from lid.wire_schema import LidState, ProbeReply, Telemetry

from earlid.board.level import dbfs
from earlid.board.link import BoardGone, BoardRefused, Link, Started, TelemetryMessage
from earlid.calibrate.choices import STEPS
from earlid.calibrate.readings import Readings, gain_db, readings
from earlid.calibrate.room import MicrophoneFinding, measure_room
from earlid.calibrate.session_file import Measurements, SessionFiles
from earlid.calibrate.trials import judge_trial
from earlid.calibrate.voice import measure_voice
from earlid.errors import FAILED, UserError
from earlid.guide import Guide
from earlid.scores import score_text

TELEMETRY_MS = 30
SILENCE_S = 5.0  # without a live line: the board is gone
PROBE_MS = 2000
PROBE_TIMEOUT_S = 15.0
ASK_AGAIN_S = 0.5


@dataclass(frozen=True)
class SessionPlan:
    """How long each step takes, in seconds; `skip` names steps that are left out."""

    room_s: float = 10.0
    voice_s: float = 10.0
    words: int = 10
    word_s: float = 3.5
    noise_s: float = 60.0
    skip: frozenset[str] = field(default_factory=frozenset)


class MicrophoneFault(UserError):
    """Nothing can be calibrated before this is mended."""

    def __init__(self, finding: MicrophoneFinding) -> None:
        super().__init__(
            f"{finding.name}: {finding.what}. To mend it: {finding.cure}. Then run `earlid calibrate` again.", FAILED
        )
        self.finding = finding


class Session:
    """Runs the steps that are not done yet.

    Args:
        link: the board, with its lid closed.
        guide: talks to the person.
        files: where what was measured is kept, after each step.
        measurements: what is there already.
        config: the board's configuration.
        cutoff_q8: the score that opens now, of 255.
    """

    def __init__(
        self,
        link: Link,
        guide: Guide,
        files: SessionFiles,
        measurements: Measurements,
        config: dict[str, int],
        cutoff_q8: int,
        plan: SessionPlan,
    ) -> None:
        self._link, self._guide, self._files, self._plan = link, guide, files, plan
        self._measurements, self._config, self._cutoff_q8 = measurements, config, cutoff_q8
        self._closed_at_ms = -1000

    def run(self) -> Measurements:
        """Do what is left of the steps, and keep each as it is done.

        Raises:
            MicrophoneFault: with the cure.
            UserError: the board was muted, restarted or unplugged; what was done is kept.
        """
        steps = {"room": self._room, "voice": self._voice, "word": self._word, "noise": self._noise}
        try:
            for name in STEPS:
                if name in self._plan.skip:
                    self._guide.report("skipped", f"{name}: skipped", step=name)
                elif name in self._measurements.done:
                    self._guide.report("kept", f"{name}: done before, kept", step=name)
                elif steps[name]():
                    self._measurements.done.append(name)
                    self._files.save(self._measurements)
                else:
                    self._guide.report("skipped", f"{name}: skipped", step=name)
        finally:
            self._restore_telemetry()
        return self._measurements

    # --- steps ----------------------------------------------------------------------------------------------------

    def _room(self) -> bool:
        seconds = self._plan.room_s
        text = (
            f"Nobody talks for {seconds + PROBE_MS / 1000:.0f} s; what usually runs, runs. "
            "This finds the noise floor and faults of the microphone."
        )
        if not self._guide.ask_step("room", text, seconds):
            return False
        probe = self._probe()
        with self._guide.progress("quiet please", seconds):
            quiet = self._listen(seconds)
        room = measure_room(quiet, probe, self._config["gain_q8"])
        self._measurements.room = room
        for finding in room.findings:
            self._report_finding(finding)
            if finding.fatal:
                raise MicrophoneFault(finding)
        self._guide.report(
            "room", f"The room is at {room.level_dbfs:.1f} dBFS.", level_dbfs=round(room.level_dbfs, 2),
            per_second_dbfs=[round(level, 2) for level in room.per_second_dbfs], findings=[f.name for f in room.findings],
        )  # fmt: skip
        return True

    def _voice(self) -> bool:
        seconds = self._plan.voice_s
        text = f"Talk for {seconds:.0f} s, about anything, from where you will be."
        if self._measurements.room is None:
            self._guide.report("skipped", "voice needs the room step first", step="voice")
            return False
        if not self._guide.ask_step("voice", text, seconds):
            return False
        while True:
            with self._guide.progress("talk, please", seconds):
                talk = self._listen(seconds)
            voice = measure_voice(talk, self._measurements.room.level_dbfs, self._config["gain_q8"])
            for finding in voice.findings:
                self._report_finding(finding)
            if not any(finding.fatal for finding in voice.findings):
                break
            if not self._guide.ask_retry("voice"):
                return False
        self._measurements.voice = voice
        self._guide.report(
            "voice",
            f"Your voice is at {voice.speech_dbfs:.1f} dBFS, {voice.snr_db:.0f} dB above the room; "
            f"a gain of {voice.gain_q8 / 256:.1f} fits.",
            speech_dbfs=round(voice.speech_dbfs, 2), snr_db=round(voice.snr_db, 2), gain_q8=voice.gain_q8,
            findings=[f.name for f in voice.findings],
        )  # fmt: skip
        return True

    def _word(self) -> bool:
        plan, trials = self._plan, self._measurements.trials
        if not self._measurements.word:
            self._guide.report("skipped", "the board has no word to listen for: `earlid flash` puts one on it", step="word")
            return False
        text = (
            f"Say {self._measurements.word!r} {plan.words} times, once at each sign, as you would say it: a sign every "
            f"{plan.word_s:g} s. Each time the lid may open; it is closed again at once."
        )
        if not self._guide.ask_step("word", text, plan.words * plan.word_s):
            return False
        with self._guide.progress("wait for it", plan.words * plan.word_s):
            while len(trials) < plan.words:
                number = len(trials) + 1
                sign = partial(self._guide.cue, f"say it now ({number} of {plan.words})", trial=number)
                window = self._listen(plan.word_s, (number - 1) * plan.word_s, at_start=sign)
                trial = judge_trial(window, self._cutoff_q8)
                trials.append(trial)
                self._files.save(self._measurements)
                result = "heard" if trial.peak > self._cutoff_q8 else "missed" if trial.heard_sound else "no sound"
                delay = f", {trial.latency_ms} ms after it began" if trial.latency_ms is not None else ""
                self._guide.report(
                    "trial", f"  {number}: {result}, score {score_text(trial.peak, self._cutoff_q8)}{delay}",
                    trial=number, peak=trial.peak, latency_ms=trial.latency_ms, sound=trial.heard_sound,
                )  # fmt: skip
        return True

    def _noise(self) -> bool:
        plan, ordinary = self._plan, self._measurements.ordinary
        text = (
            f"Ordinary sound without the word for {_duration(plan.noise_s)}: television, talk, the kitchen. "
            "The longer, the surer. Ctrl-C ends it early and keeps what was heard."
        )
        left_s = plan.noise_s - ordinary.milliseconds / 1000
        if not self._measurements.word or left_s <= 0:
            return bool(self._measurements.word)
        if not self._guide.ask_step("noise", text, left_s):
            return False
        interrupted = False
        with self._guide.progress("listening", plan.noise_s):
            while left_s > 0.1 and not interrupted:
                chunk_s = min(left_s, ordinary.CHUNK_MS / 1000)
                lines: list[Telemetry] = []
                try:
                    self._listen(chunk_s, ordinary.milliseconds / 1000, lines)
                except KeyboardInterrupt:
                    interrupted = True
                ordinary.add(readings(lines))
                self._files.save(self._measurements)
                left_s = min(left_s - chunk_s, plan.noise_s - ordinary.milliseconds / 1000)
        openings = int(ordinary.counts[self._cutoff_q8])
        self._guide.report(
            "noise", f"{_duration(ordinary.milliseconds / 1000)} heard; {openings} false openings at the cutoff in force.",
            milliseconds=ordinary.milliseconds, false_openings=openings,
        )  # fmt: skip
        return True

    # --- the board ------------------------------------------------------------------------------------------------

    def _probe(self) -> ProbeReply:
        for attempt in (1, 2, 3):
            try:
                return self._link.request("probe", PROBE_TIMEOUT_S, ms=PROBE_MS)
            except BoardRefused as refused:
                if refused.err not in ("state", "busy") or attempt == 3:
                    raise
                if refused.err == "busy":
                    self._guide.report("busy", f"The board waits: {refused}.", seconds=refused.wait_s)
                    time.sleep(refused.wait_s)
                self._link.request("close")
                time.sleep(ASK_AGAIN_S)
        raise AssertionError("unreachable")

    def _listen(
        self,
        seconds: float,
        before_s: float = 0.0,
        lines: list[Telemetry] | None = None,
        at_start: Callable[[], None] = lambda: None,
    ) -> Readings:
        # By the board's clock, so that a simulated one may run as fast as it likes. A person is given the sign when the first
        # live line is here: what is said after it cannot be missed.
        lines = [] if lines is None else lines
        self._link.request("telemetry", every_ms=TELEMETRY_MS)
        for _ in self._link.messages(0):
            pass
        boost = gain_db(self._config["gain_q8"])
        end_ms = None
        while True:
            silent = True
            for message in self._link.messages(SILENCE_S):
                if isinstance(message, Started):
                    raise UserError("the board restarted meanwhile: run `earlid calibrate` again, it goes on from here.", FAILED)
                if not isinstance(message, TelemetryMessage):
                    continue
                silent = False
                telemetry = message.telemetry
                now_ms = telemetry["ms"]
                if end_ms is None:
                    end_ms = now_ms + round(seconds * 1000)
                    at_start()
                lines.append(telemetry)
                self._guide.on_reading(dbfs(telemetry["lvl"]) - boost, before_s + seconds - (end_ms - now_ms) / 1000)
                self._keep_closed(telemetry["state"], now_ms)
                if now_ms >= end_ms:
                    return self._complete(lines, seconds)
            if silent:
                raise BoardGone(
                    f"the board at {self._link.path} sends no live numbers. Unplug it, plug it in, and run this again."
                )

    def _keep_closed(self, state: LidState, now_ms: int) -> None:
        if state == "open" and now_ms - self._closed_at_ms > 500:
            self._closed_at_ms = now_ms
            self._link.request("close")
        elif state == "muted":
            raise UserError(
                "the board is muted: release its mute switch and run `earlid calibrate` again, it goes on from here.", FAILED
            )
        elif state == "fault":
            raise UserError(
                "the board is in fault: `earlid doctor` says why. After a power cycle run `earlid calibrate` again.", FAILED
            )

    def _complete(self, lines: list[Telemetry], seconds: float) -> Readings:
        result = readings(lines)
        expected = seconds * 1000 / TELEMETRY_MS
        if len(result) < expected * 0.9:
            self._guide.report(
                "lossy", f"only {len(result)} of {expected:.0f} live lines arrived: the figures are coarser than they should be",
                received=len(result), expected=round(expected),
            )  # fmt: skip
        return result

    def _report_finding(self, finding: MicrophoneFinding) -> None:
        self._guide.report(
            "finding", f"Found: {finding.name}: {finding.what}. {finding.cure[0].upper()}{finding.cure[1:]}.",
            name=finding.name, what=finding.what, cure=finding.cure, fatal=finding.fatal,
        )  # fmt: skip

    def _restore_telemetry(self) -> None:
        try:
            self._link.request("telemetry", every_ms=self._config.get("telemetry_ms", 0))
        except (BoardGone, BoardRefused):
            pass  # gone anyway; a restart forgets it


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
