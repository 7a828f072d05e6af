# SPDX-License-Identifier: MIT
"""The guided session on virtual boards: its measurements equal the simulation's values, and each fault is named."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from earlid.board.link import BoardRefused
from earlid.board.safe import close_lid
from earlid.calibrate import priors
from earlid.calibrate.calibration import Calibration, CalibrationOptions, identify
from earlid.calibrate.readings import gain_db, readings
from earlid.calibrate.result import compute_result
from earlid.calibrate.room import measure_room
from earlid.calibrate.session import MicrophoneFault, Session, SessionPlan
from earlid.calibrate.session_file import Measurements, SessionFiles
from earlid.errors import UserError
from earlid.gate import models
from earlid.guide import Guide
from lid import config, wire

from tests.calibrate.conftest import RATE_HZ, Actor, speech

ROOM_TOLERANCE_DB = 0.5
VOICE_TOLERANCE_DB = 1.0
GAIN_DB = gain_db(config.defaults()["gain_q8"])  # what the simulation plays has it already; a measurement is without
ALL_ALONG = 240 * RATE_HZ  # samples that outlast any session, on the slowest machine
QUICK = SessionPlan(room_s=3, voice_s=4, words=4, word_s=2.5, noise_s=6)


def calibrate(room, actor, plan=QUICK, **options):
    return Calibration(room.board.serial_port, CalibrationOptions(plan, interactive=False, **options), actor).run()


def only(*steps):
    return SessionPlan(
        room_s=5, voice_s=5, words=4, word_s=2.5, noise_s=8, skip=frozenset({"room", "voice", "word", "noise"} - set(steps))
    )


def talking(seconds, peak_dbfs):
    """Babble with its highest peak at a level."""
    clip = np.resize(np.concatenate([speech("babble-awb"), speech("babble-gb")]), int(seconds * RATE_HZ)).astype(float)
    return np.rint(clip * 32768 * 10 ** (peak_dbfs / 20) / np.abs(clip).max()).astype(np.int16)


def active_dbfs(samples, above_dbfs):
    """Level of those hops that are louder than a level: what a voice's level means here."""
    hops = samples[: len(samples) // 160 * 160].reshape(-1, 160).astype(float)
    power = hops.var(axis=1)
    return 10 * np.log10(power[power > 32768**2 * 10 ** (above_dbfs / 10)].mean() / 32768**2)


@pytest.mark.parametrize("noise_dbfs", [-75.0, -65.0, -55.0, -45.0, -35.0])
def test_room_level_is_that_of_the_simulated_noise(make_room, noise_dbfs):
    room = make_room(noise_dbfs, seed=7)
    actor = Actor(room)
    calibrate(room, actor, only("room"), level="balanced")
    found = actor.values("room")
    assert found["level_dbfs"] == pytest.approx(noise_dbfs - GAIN_DB, abs=ROOM_TOLERANCE_DB)
    assert all(abs(level - noise_dbfs + GAIN_DB) < 2 * ROOM_TOLERANCE_DB for level in found["per_second_dbfs"][1:])
    assert found["findings"] == (["loud room"] if noise_dbfs > -40 else [])


@pytest.mark.parametrize(
    ("microphone", "name"),
    [("dead", "dead microphone"), ("swapped", "swapped channel"), ("stuck", "stuck line")],
)
def test_fatal_microphone_fault_is_named(make_room, microphone, name):
    room = make_room(-60.0, microphone=microphone)
    actor = Actor(room)
    with pytest.raises(MicrophoneFault, match=name):
        calibrate(room, actor)
    assert actor.values("finding")["name"] == name
    assert actor.values("finding")["fatal"]


@pytest.mark.parametrize(
    ("hertz", "name"), [(50, "hum 50 Hz"), (60, "hum 60 Hz"), (100, "hum 50 Hz"), (120, "hum 60 Hz"), (55, None), (440, None)]
)
def test_mains_hum_is_named_by_its_frequency(make_room, hertz, name):
    room = make_room(-65.0)
    room.board.play(np.rint(60 * np.sin(2 * np.pi * hertz * np.arange(ALL_ALONG) / RATE_HZ)).astype(np.int16))
    actor = Actor(room)
    calibrate(room, actor, only("room"), write=False)
    assert actor.values("room")["findings"] == ([name] if name else [])


def test_clipping_and_dc_offset_are_named(make_room):
    room = make_room(-40.0, microphone="clipped")
    actor = Actor(room)
    calibrate(room, actor, only("room"), write=False)
    assert "clipped microphone" in actor.values("room")["findings"]
    room = make_room(-60.0, seed=1)
    room.board.play(np.full(ALL_ALONG, 16 * 1024, np.int16))  # noise about it moves every bit below
    actor = Actor(room)
    calibrate(room, actor, only("room"), write=False)
    assert actor.values("room")["findings"] == ["DC offset"]


def test_stuck_bit_is_named(make_room):
    room = make_room(None)
    noise = np.random.default_rng(4).normal(0, 60, ALL_ALONG).astype(np.int16)
    room.board.play(noise | 0x40)
    actor = Actor(room)
    calibrate(room, actor, only("room"), write=False)
    assert actor.values("room")["findings"] == ["stuck bit"]
    assert "bit 10 always 1" in actor.values("finding")["what"]


@pytest.mark.parametrize("peak_dbfs", [-35.0, -12.0, -4.0])
def test_gain_follows_the_voice_level(make_room, peak_dbfs):
    room = make_room(-70.0)
    plan = only("room", "voice")
    talk = talking(plan.voice_s, peak_dbfs)
    truth = active_dbfs(talk, -64.0)
    actor = Actor(room, talk=np.tile(talk, 2))  # any part of it that is as long as the step holds the same sounds
    calibrate(room, actor, plan, write=False)
    found = actor.values("voice")
    assert found["speech_dbfs"] == pytest.approx(truth - GAIN_DB, abs=VOICE_TOLERANCE_DB)
    assert found["snr_db"] == pytest.approx(truth + 70, abs=1.5 * VOICE_TOLERANCE_DB)
    # up to the usual level of speech, unless that would saturate the peaks; never above 64
    wanted_db = min(gain_db(64 * 256), GAIN_DB + min(-26 - truth, -3 - peak_dbfs))
    assert 20 * np.log10(found["gain_q8"] / 256) == pytest.approx(wanted_db, abs=2 * VOICE_TOLERANCE_DB)


def test_silence_is_not_measured_as_speech(make_room):
    room = make_room(-60.0)
    actor = Actor(room)
    calibrate(room, actor, only("room", "voice"), write=False)
    assert actor.values("finding")["name"] == "no speech"
    assert "voice" not in [name for name, _ in actor.events]


def test_session_writes_the_boards_settings(make_room, own_data_dir, tmp_path):
    room = make_room(-65.0)
    false_alarm = np.concatenate([np.zeros(2 * RATE_HZ, np.int16), speech("word-rms"), np.zeros(RATE_HZ, np.int16)])
    word = speech("word-slt")
    actor = Actor(room, talk=talking(9, -25), sayings=[word, word, None, word], ordinary=false_alarm)
    with room.link() as link:
        before = link.request("config-get")
    code = calibrate(room, actor, level="balanced", report=tmp_path / "report.html", plot=tmp_path / "curve.svg")
    assert code == 0
    trials = actor.names("trial")
    assert [trial["sound"] for trial in trials] == [True, True, False, True]
    assert sum(trial["peak"] > 230 for trial in trials) == 3
    assert all(0 < trial["latency_ms"] < 1500 for trial in trials if trial["sound"])
    assert actor.values("noise")["false_openings"] == 1
    with room.link() as link:
        after = link.request("config-get")
        reply = link.request("sync", from_=1, max=64)
        records = [(item.event, item.reason) for item in link.pop_records()]
    assert reply["ok"]
    assert after["digest"] == actor.values("written")["digest"]
    assert after["previous"] == before["digest"], "the old one is kept on the board"
    assert after["config"]["gain_q8"] != before["config"]["gain_q8"]
    levels = {level["name"]: level for level in actor.values("levels")["levels"]}
    assert after["config"]["cutoff_q8"] == levels["balanced"]["cutoff_q8"]
    assert ("config", "changed") in records
    assert ("open", "word") in records
    assert ("open", "button") not in records, "the gesture opened the lid"
    assert ("config", "refused") not in records
    assert records.count(("open", "word")) == records.count(("close", "host"))
    with room.link() as link:
        files = SessionFiles(own_data_dir / "calibration", link.request("hello")["hi"]["board"])
    newest = files.profiles()[0]
    assert newest["config"] == after["config"]
    assert newest["config"] == config.check(newest["config"])
    assert newest["provenance"]["words"] == 3
    assert not files.session_path.exists()
    page = (tmp_path / "report.html").read_text()
    assert "<svg" in page
    assert "balanced" in page
    assert "http" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "https://matplotlib.org", ""
    ).replace("http://creativecommons.org", "")
    assert (tmp_path / "curve.svg").stat().st_size > 5000


def test_interrupted_session_resumes(make_room):
    room = make_room(-65.0)
    word = speech("word-slt")

    class Leaver(Actor):
        def cue(self, text, **values):
            if values.get("trial") == 3:
                raise KeyboardInterrupt
            super().cue(text, **values)

    leaver = Leaver(room, talk=talking(9, -25), sayings=[word] * 4)
    with pytest.raises(KeyboardInterrupt):
        calibrate(room, leaver, write=False)
    stayer = Actor(room, sayings=[word] * 4)
    calibrate(room, stayer, only("room", "voice", "word"), write=False)
    assert [values["step"] for values in stayer.names("kept")] == ["room", "voice"]
    assert [values["trial"] for values in stayer.names("trial")] == [3, 4]
    assert stayer.values("levels")["levels"][0]["own"]["trials"] == 4


def test_interrupted_noise_step_keeps_its_counts(make_room):
    room = make_room(-65.0)

    class Sleeper(Actor):
        def on_reading(self, level_dbfs, seconds):
            super().on_reading(level_dbfs, seconds)
            if seconds > 4:
                raise KeyboardInterrupt

    actor = Sleeper(room)
    calibrate(room, actor, only("noise"), write=False)
    assert 3000 < actor.values("noise")["milliseconds"] < 8000


class Refuser(Actor):
    def consent(self):
        raise KeyboardInterrupt


class Overtaken(Actor):
    def consent(self):
        self.board.send(wire.encode(1, {"id": 1, "do": "pair", "client": "5eed"}))  # another program's


@pytest.mark.parametrize(
    ("person", "error", "words"),
    [(Refuser, KeyboardInterrupt, None), (Overtaken, UserError, "took its place; nothing was changed. Run `earlid calibrate`")],
    ids=["interrupted", "overtaken"],
)
def test_settings_are_not_written_without_consent(make_room, person, error, words):
    room = make_room(-65.0)
    with room.link() as link:
        before = link.request("config-get")["config"]
    actor = person(room)
    with pytest.raises(error, match=words):
        calibrate(room, actor, only("room"), level="careful")
    assert actor.values("consent")["digest"]
    with room.link() as link:
        assert link.request("config-get")["config"] == before
        assert ("ask" in link.request("hello")["hi"]) == (person is Overtaken), "what was withdrawn still waits"


@pytest.mark.parametrize("when", ["listening", "asking"])
def test_safe_closes_the_lid_during_a_session(make_room, when):
    room = make_room(-65.0)
    verdicts = []

    def safe():
        verdicts.append(close_lid(room.board.serial_port))

    class Worried(Actor):
        def ask_step(self, step, text, seconds):
            if when == "asking":
                safe()  # nobody reads the port meanwhile
            return super().ask_step(step, text, seconds)

        def on_reading(self, level_dbfs, seconds):
            super().on_reading(level_dbfs, seconds)
            if when == "listening" and not self.thread.is_alive() and not verdicts:
                self.thread.start()

    actor = Worried(room)
    actor.thread = threading.Thread(target=safe)
    calibrate(room, actor, only("room"), write=False)
    if when == "listening":
        actor.thread.join()
    assert [(verdict.closed, verdict.state) for verdict in verdicts] == [(True, "closed")]
    assert actor.values("room")["findings"] == []


def test_muted_board_is_an_error_with_a_next_step(make_room):
    room = make_room(-65.0)

    class Muter(Actor):
        def on_reading(self, level_dbfs, seconds):
            super().on_reading(level_dbfs, seconds)
            if seconds > 1:
                self.board.mute(True)

    with pytest.raises(UserError, match="release its mute switch"):
        calibrate(room, Muter(room), only("room"), write=False)


def test_board_without_a_word_measures_the_room(make_room):
    room = make_room(-65.0, word=False)
    actor = Actor(room)
    calibrate(room, actor, QUICK, write=False)
    assert "word" in [values["step"] for values in actor.names("skipped")]


def test_probe_waits_as_long_as_the_board_says(monkeypatch, tmp_path):
    refusals, waits = [BoardRefused("busy", "asked too often; again in 3 s", 3.0)], []

    def request(do, *args, **arguments):
        if refusals:
            raise refusals.pop()
        return {"ms": 2000}

    monkeypatch.setattr("earlid.calibrate.session.time.sleep", waits.append)
    link = SimpleNamespace(request=request)
    session = Session(link, Guide(), SessionFiles(tmp_path, "ab"), None, {}, 200, QUICK)
    assert session._probe() == {"ms": 2000}
    assert waits[0] == 3.0


def test_network_is_identified_by_its_digest(model):
    digest = model.digest.hex()[:16]
    assert identify(digest, None).name == "alexa"
    assert identify("00" * 8, None).name == ""
    with pytest.raises(UserError, match="is not alexa"):
        identify("00" * 8, "alexa")


@pytest.mark.parametrize("name", models.builtin_names())
def test_published_figures_count_for_the_decision_that_they_are_about(name):
    model = models.load(name)
    found = {}
    for decision in (0, 1):
        network = identify(model.digest.hex()[:16], None, decision)
        measurements = Measurements("ab", name, model.digest.hex(), "1.0.0", "2026-01-01")
        found[decision] = compute_result(measurements, network, {"cutoff_q8": 0, "open_ms": 8000}).prior
    own = priors.prior_for(name, model.cutoff_q8)
    assert found[0] == own
    assert found[0].sources
    if model.look:
        unit, cutoff_sum = model.decided(1)
        assert found[1].sources == (), "a look's score has another scale"
        assert found[1].rate_per_h(cutoff_sum // unit) == pytest.approx(priors.GENERIC_PER_H)
    else:
        assert found[1] == own


def test_short_room_step_is_measured_without_settling():
    probe = {
        "low": -5,
        "high": 5,
        "any": "ffffff",
        "all": "000000",
        "other": 0,
        "clipped": 0,
        "dc_q4": 0,
        "hum_q4": [0] * 4,
        "ms": 1000,
    }
    line = {"ms": 1, "lvl": 2000, "score": 0, "peak": 3, "clip": 0}
    room = measure_room(readings([line]), probe, 256)
    assert room.unrest_q8 == 0
    assert room.findings == []
