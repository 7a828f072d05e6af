# SPDX-License-Identifier: MIT
"""Attacks by files: sound, manifests, exports, names. Each ends in the sentence that a person reads, or in what was heard."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from earlid import cli
from earlid.errors import UserError
from earlid.gate import audio, models
from rich.console import Console

from tests.evaluate.conftest import write_noise, write_words

SEED = 13
RATE_HZ = 16000
ALEXA = models.builtin_dir() / "alexa"


def tones(seconds: float, rate_hz: int = RATE_HZ) -> np.ndarray:
    """Noise whose loudness changes every second, so that a variable bit rate varies."""
    at_s = np.arange(int(seconds * rate_hz)) / rate_hz
    rng = np.random.default_rng(SEED)
    return 0.3 * np.sin(2764 * at_s) * (at_s % 2 < 1) + 0.003 * rng.standard_normal(len(at_s))


def refusal(path: Path) -> str:
    """What a person reads of a sound file that is not taken."""
    with pytest.raises(UserError) as raised:
        audio.read_audio(path)
    return str(raised.value).removeprefix(f"{path}: ")


# -- sound -----------------------------------------------------------------------------------------------------------------


def mp3_without_header(path: Path, seconds: float) -> None:
    """A variable bit rate without the frame that tells how many there are."""
    options = {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "VARIABLE", "compression_level": 0.5}
    with soundfile.SoundFile(path, "w", RATE_HZ, 1, **options) as file:
        file.write(tones(seconds))
    data = path.read_bytes()
    assert data[:2] == b"\xff\xf3"
    assert b"Xing" in data[:200]
    rate_kbit_s = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)[data[2] >> 4]
    path.write_bytes(data[72 * rate_kbit_s * 1000 // RATE_HZ + (data[2] >> 1 & 1) :])


def test_mp3_of_variable_rate_without_a_header_is_read_to_its_end(tmp_path):
    path = tmp_path / "word.mp3"
    mp3_without_header(path, 30)
    assert soundfile.info(path).duration < 15, "libsndfile itself is not misled any more: this attack shows nothing"
    assert 30 <= len(audio.read_audio(path)) / RATE_HZ < 30.2
    assert 30 <= audio.audio_seconds(path) < 30.2
    tagged = tmp_path / "tagged.mp3"
    tagged.write_bytes(b"ID3\x03\0\0\0\0\x08\0" + bytes(1024) + path.read_bytes() + b"TAG".ljust(128))
    assert np.array_equal(audio.read_audio(tagged), audio.read_audio(path))


def test_joined_mp3s_are_read_to_the_end_of_the_last(tmp_path):
    path = tmp_path / "word.mp3"
    with soundfile.SoundFile(path, "w", RATE_HZ, 1, format="MP3", bitrate_mode="VARIABLE", compression_level=0.5) as file:
        file.write(tones(10))
    whole = audio.read_audio(path)
    assert len(whole) == 10 * RATE_HZ, "its header is believed: what the coder put before and behind is cut off"
    tagged = tmp_path / "tagged.mp3"
    tagged.write_bytes(path.read_bytes() + b"TAG".ljust(128))
    assert np.array_equal(audio.read_audio(tagged), whole)
    joined = tmp_path / "joined.mp3"
    joined.write_bytes(3 * path.read_bytes())
    assert soundfile.info(joined).duration == 10, "libsndfile itself is not misled any more: this attack shows nothing"
    assert 30 <= len(audio.read_audio(joined)) / RATE_HZ < 30.7


def test_flac_of_unknown_length_is_read_to_its_end(tmp_path):
    path = tmp_path / "stream.flac"
    soundfile.write(path, tones(3), RATE_HZ)
    whole = audio.read_audio(path)
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)  # STREAMINFO: 36 bits of samples, 0 is unknown
    path.write_bytes(data)
    assert soundfile.info(path).frames > 1 << 60
    assert np.array_equal(audio.read_audio(path), whole)
    assert audio.audio_seconds(path) == 3


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0xFFFFFFFF])
def test_wav_whose_size_was_never_written_is_read_to_its_end(tmp_path, size):
    path = tmp_path / "stream.wav"
    soundfile.write(path, tones(2), RATE_HZ)
    whole = audio.read_audio(path)
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"data") + 4, size)
    path.write_bytes(data)
    assert np.array_equal(audio.read_audio(path), whole)
    assert audio.audio_seconds(path) == 2


def test_wav_without_samples_is_not_read_on_into_its_notes(tmp_path):
    path = tmp_path / "empty.wav"
    soundfile.write(path, np.zeros(0), RATE_HZ)
    path.write_bytes(path.read_bytes() + b"LIST" + struct.pack("<I", 4000) + bytes(4000))
    assert refusal(path) == "has no samples; record it again"


@pytest.mark.parametrize("subtype", ["GSM610", "ULAW", "IMA_ADPCM", "MS_ADPCM", "PCM_24", "DOUBLE"])
def test_every_coding_of_wav_is_read(tmp_path, subtype):
    path = tmp_path / "word.wav"
    soundfile.write(path, tones(2), RATE_HZ, subtype=subtype)
    heard = audio.read_audio(path) / 32768
    assert 2 <= len(heard) / RATE_HZ < 2.1
    assert np.corrcoef(heard[: 2 * RATE_HZ], tones(2))[0, 1] > 0.9


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("one.wav", 1, "holds 0.0625 ms of sound, less than the 10 ms of a hop; record it again"),
        ("none.wav", 0, "has no samples; record it again"),
        ("bare.raw", bytes(32000), "not a sound file that can be read (Format not recognised); WAV and FLAC are, bare samples "
         "without a header are not"),
        ("bare.gsm", b"\xd8" * 3300, "not a sound file that can be read (Format not recognised); WAV and FLAC are, bare samples "
         "without a header are not"),
        ("slow.wav", 20, "20 Hz; rates from 1000 to 768000 are converted"),
        ("numbers.wav", float("nan"), "has samples that are not numbers; export it again"),
    ],
)  # fmt: skip
def test_sound_that_cannot_be_heard_is_named(tmp_path, name, content, says):
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, float):
        soundfile.write(path, np.full(RATE_HZ, content), RATE_HZ, subtype="FLOAT")
    else:
        soundfile.write(path, tones(1)[: content if content < 20 else RATE_HZ], content if content == 20 else RATE_HZ)
    assert refusal(path) == says


def test_pipe_or_device_is_no_recording(tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe.wav")
    assert refusal(tmp_path / "pipe.wav") == refusal(Path("/dev/zero")) == "no regular file, but a folder, a pipe or a device"
    assert refusal(tmp_path) == "a folder, not a sound file"
    assert refusal(tmp_path / "none.wav") == "no such file"


HOUR = """
import re, struct, sys
from pathlib import Path
from earlid.gate import audio
size = 3600 * 48000 * 4
with open(sys.argv[1], "wb") as file:
    file.write(b"RIFF" + struct.pack("<I", size + 36) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 2, 48000, 192000, 4, 16))
    file.write(b"data" + struct.pack("<I", size))
    file.truncate(size + 44)  # silence takes no room
samples = len(audio.read_audio(sys.argv[1]))
# Of this program alone: ru_maxrss begins with what its parent had.
print(samples, re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""


def test_hour_of_stereo_is_read_in_less_than_300_mb(tmp_path):
    done = subprocess.run([sys.executable, "-c", HOUR, str(tmp_path / "hour.wav")], capture_output=True, text=True, check=True)
    samples, peak_kb = map(int, done.stdout.split())
    assert samples == 3600 * RATE_HZ
    print(f"an hour of 48 kHz stereo: {peak_kb / 1000:.0f} MB at most")
    assert peak_kb * 1024 < 300e6


def test_evaluate_lists_all_that_it_leaves_out(tmp_path, monkeypatch, capsys):
    from earlid.evaluate import engines, output

    monkeypatch.setattr(output, "save_figure", lambda *drawing: None)
    monkeypatch.setattr(engines, "run_local", lambda tasks, workers: map(engines.measure.run_task, tasks))
    words, noise = tmp_path / "w", tmp_path / "n"
    write_words(words, 2)
    write_noise(noise, files=("hiss_1",), seconds=5)
    soundfile.write(noise / "one.wav", np.zeros(1), RATE_HZ)
    (noise / "bare.raw").write_bytes(bytes(32000))
    (noise / "call.m4a").write_bytes(b"\0\0\0\x20ftypM4A ")
    (noise / "notes.txt").write_text("kitchen")
    (noise / "gone.wav").symlink_to("nowhere.wav")
    (noise / "more").symlink_to(words)
    soundfile.write(noise / "[bold]\x1b[31m.wav", np.zeros(1), RATE_HZ)
    assert cli.main(["evaluate", str(words), str(noise), "--out", str(tmp_path / "out"), "--no-snr"]) == 1
    said = capsys.readouterr().err
    for line in (
        "left out: one.wav: holds 0.0625 ms of sound, less than the 10 ms of a hop; record it again",
        "left out: bare.raw: no kind of sound file that is read; WAV and FLAC are",
        "left out: call.m4a: no kind of sound file that is read; WAV and FLAC are",
        "left out: gone.wav: no such file",
        "left out: more: a link to a folder",
        "left out: [bold]\\x1b[31m.wav: holds 0.0625 ms of sound",
        "no sound files, 1 of them: notes.txt",
    ):
        assert line in said
    assert "\x1b" not in said


def test_folder_of_nothing_but_a_sample_is_a_sentence(tmp_path, capsys):
    write_words(tmp_path / "w", 2)
    (tmp_path / "n").mkdir()
    soundfile.write(tmp_path / "n" / "one.wav", np.zeros(1), RATE_HZ)
    assert cli.main(["evaluate", str(tmp_path / "w"), str(tmp_path / "n"), "--out", str(tmp_path / "out")]) == 2
    assert "none of its sound files can be read: one.wav: holds 0.0625 ms of sound" in capsys.readouterr().err


# -- manifests -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def word(tmp_path):
    """Writes a word's manifest, changed, beside its network; the manifest's path."""
    known = json.loads(ALEXA.with_suffix(".json").read_text())

    def write(text: str | bytes | None = None, **changes: object) -> Path:
        shutil.copy(ALEXA.with_suffix(".tflite"), tmp_path / "alexa.tflite")
        path = tmp_path / "alexa.json"
        path.write_bytes(text if isinstance(text, bytes) else (text or json.dumps(known | changes)).encode())
        return path

    return write


def test_byte_order_mark_before_a_manifest_is_no_fault(word, capsys):
    path = word(b"\xef\xbb\xbf" + ALEXA.with_suffix(".json").read_bytes())
    assert cli.main(["model", "show", str(path)]) == 0
    assert "wake word  Alexa" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"version": 1}, "manifest version 1, version 2 is needed: version 1 is of networks with other features."),
        ({"version": [[[]]]}, "manifest version a list of 1, version 2 is needed"),
        ({"wake_word": "\ud800"}, r"wake_word is '\ud800', at most 200 bytes of printable text are needed"),
        ({"wake_word": "Ale\0xa"}, r"wake_word is 'Ale\x00xa', at most 200 bytes of printable text are needed"),
        ({"wake_word": "\x1b]0;owned\x07"}, r"wake_word is '\x1b]0;owned\x07', at most"),
        ({"wake_word": ["Alexa"]}, "wake_word is a list of 1, at most"),
        ({"author": "a" * 70_000}, "author is 'aaaa"),
        ({"model": "a\0.tflite"}, r"model is 'a\x00.tflite', at most"),
        ({"model": ".."}, "model is '..', the name of a .tflite file beside it is needed"),
        (
            {"model": "gone.tflite"},
            "gone.tflite: No such file or directory. Name a file that is there. The manifest alexa.json names it.",
        ),
        ({"trained_languages": ["en", "=cmd()"]}, "trained_languages is not a list of codes such as en or pt-BR"),
        ({"micro": {"probability_cutoff": 10**400, "sliding_window_size": 5}}, "probability_cutoff 1000"),
        (
            {"micro": {"probability_cutoff": 0.9, "sliding_window_size": 5, "feature_step_size": {}}},
            "feature_step_size a set of names",
        ),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, dict) else "",
)
def test_manifest_with_a_wrong_entry_is_named(word, changes, says, capsys):
    path = word(**changes)
    assert cli.main(["model", "show", str(path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("earlid: ")
    assert says in said
    assert len(said.splitlines()) == 1
    assert "\x1b" not in said


@pytest.mark.parametrize("depth", [900, 100_000])
def test_manifest_of_any_depth_is_a_sentence(word, depth, capsys):
    path = word('{"type": "micro", "micro": {}, "version": ' + "[" * depth + "]" * depth + "}")
    assert cli.main(["model", "show", str(path)]) == 2
    assert "manifest version a list of 1" in (said := capsys.readouterr().err) or "is not JSON" in said


def test_network_that_is_named_is_the_one_that_is_taken(word, tmp_path, capsys):
    word(model="other.tflite")
    shutil.copy(models.builtin_dir() / "okay_nabu.tflite", tmp_path / "other.tflite")
    assert models.load(str(tmp_path / "alexa.tflite")).digest == models.load("alexa").digest
    assert models.load(str(tmp_path / "alexa.json")).digest == models.load("okay_nabu").digest, "it was named by its manifest"
    assert cli.main(["model", "import", str(tmp_path / "alexa.json"), "--out", str(tmp_path / "other.tflite")]) == 2
    assert "other.tflite is the network itself: name another file with --out." in capsys.readouterr().err


def test_device_for_a_network_is_not_read_without_end(word, tmp_path, capsys):
    path = word()
    (tmp_path / "alexa.tflite").unlink()
    (tmp_path / "alexa.tflite").symlink_to("/dev/zero")
    assert cli.main(["model", "show", str(path)]) == 2
    assert "alexa.tflite is larger than 1,048,576 bytes" in capsys.readouterr().err


# -- exports ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("board", "../../etc", "the header of a board is damaged ('../../etc' is no board's identifier)"),
        ("board", "dead/beef", "the header of a board is damaged ('dead/beef' is no board's identifier)"),
        ("name", "\x1b[31mred", r"the header of a board is damaged (name is '\x1b[31mred')"),
        ("name", "\ud800", r"the header of a board is damaged (name is '\ud800')"),
        ("format", [[[]]], "is of a format this Earlid does not know (a list of 1): update Earlid."),
        ("labels", [{"boot": 10**30, "seq": 1, "label": 1, "at_ms": 1}], "the header of a board is damaged (boot is 1000"),
    ],
)
def test_export_with_a_wrong_header_is_named(say, tmp_path, name, value, says):
    path = tmp_path / "export.jsonl"
    assert say("export", "-o", str(path)).code == 0
    head, *rest = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps(json.loads(head) | {name: value}), *rest]) + "\n")
    for words in (("verify", str(path)), ("export", "--import", str(path))):
        said = say(*words)
        assert said.code in (2, 4)
        assert says in said.err
        assert "\x1b" not in said.err


def test_export_with_a_byte_order_mark_is_read(say, tmp_path):
    path = tmp_path / "export.jsonl"
    say("export", "-o", str(path))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert say("verify", str(path)).code == 0


# -- names -----------------------------------------------------------------------------------------------------------------

MARKUP = "[red]kitchen[/b] </script><b>&amp;"


def test_name_with_markup_is_shown_as_it_is(home, say, tmp_path):
    assert say("review", "name", "8899", MARKUP).code == 0
    assert MARKUP in say("review", "--since", "2026-11-17", "--until", "2026-11-20").out
    page = tmp_path / "page.html"
    assert say("review", "--html", str(page)).code == 0
    assert "<b>&amp;" not in page.read_text()
    assert page.read_text().count("</script>") == page.read_text().count("<script")
    assert json.loads(say("review", "--json").out)


@pytest.mark.parametrize("name", ["\x1b[2Jkitchen", "kit\nchen", "kit\u202echen", "k" * 61])
def test_name_that_cannot_be_shown_is_refused(say, name):
    said = say("review", "name", "8899", name)
    assert said.code == 2
    assert "is no name: at most 60 letters that can be printed." in said.err
    assert "\x1b" not in said.err


def test_name_that_got_into_the_ledger_moves_no_cursor(home, say):
    home.forge("UPDATE boards SET name = ? WHERE board LIKE '8899%'", "\x1b[2Jkitchen\u202e")
    for words in (("review",), ("review", "--csv"), ("verify",), ("review", "--board", "nobody"), ("purge", "--all")):
        said = say(*words)
        assert "\x1b" not in said.out + said.err
        assert "\u202e" not in said.out + said.err


def test_file_whose_name_is_an_escape_sequence_moves_no_cursor(say, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    soundfile.write("\x1b[2Jword.wav", tones(1), RATE_HZ)
    for words in (
        ("score", "\x1b[2Jword.wav"), ("score", "\x1b[2Jnone.wav"),
        ("model", "import", f"{ALEXA}.tflite", "--out", "\x1b[2Jword.elww"),
        ("doctor", "--port", "/dev/null", "--bundle", "\x1b[2Jbundle.json"),
    ):  # fmt: skip
        capsys.readouterr()
        cli.main(words)
        said = capsys.readouterr()
        assert "\x1b" not in said.out + said.err
        assert r"\x1b[2J" in said.out + said.err
    said = say("review", "--html", "\x1b[2Jpage.html")
    assert "\x1b" not in said.out + said.err
    assert Path("\x1b[2Jpage.html").exists()


def test_word_with_markup_is_shown_and_drawn_as_it_is(word, tmp_path, monkeypatch, capsys):
    from earlid.accuracy.curve import CUTOFFS, Curve
    from earlid.accuracy.plot import PlotLine, save_figure
    from earlid.evaluate import output
    from earlid.evaluate.summary import EvaluationTotals

    text = r"[/b] $\frac$ <i>"
    path = word(wake_word=text)
    assert cli.main(["model", "show", str(path)]) == 0
    assert text in capsys.readouterr().out
    counts = np.arange(CUTOFFS)[::-1]
    save_figure([PlotLine("clean", Curve(counts, 300, counts, 1.0), (), "clean")], tmp_path / "plot.svg", f"{text} (alexa)")
    assert (tmp_path / "plot.svg").stat().st_size > 1000
    shown = {"word": text, "wall_s": 1.0, "run_now_hours": 0}
    monkeypatch.setattr(output, "Console", lambda **options: Console(file=sys.stderr, width=110, no_color=True))
    output.print_results(EvaluationTotals([], 0.0, 0.0, []), shown, 230, tmp_path)
    assert f"{text}: words missed and false openings" in capsys.readouterr().err


# -- mutations -------------------------------------------------------------------------------------------------------------

FORMATS = (
    ("WAV", "PCM_16", "wav", RATE_HZ), ("WAV", "GSM610", "gsm.wav", 8000), ("WAV", "FLOAT", "float.wav", 48000),
    ("FLAC", "PCM_16", "flac", 44100), ("OGG", "VORBIS", "ogg", RATE_HZ), ("OGG", "OPUS", "opus", 48000),
    ("MP3", "MPEG_LAYER_III", "mp3", RATE_HZ), ("AIFF", "PCM_16", "aiff", RATE_HZ), ("AU", "ULAW", "au", 8000),
    ("W64", "PCM_24", "w64", RATE_HZ), ("CAF", "ALAC_16", "caf", RATE_HZ),
)  # fmt: skip


def sources(reader: str, folder: Path, say) -> None:
    """The files to be changed."""
    if reader == "sound":
        for kind, subtype, ending, rate_hz in FORMATS:
            soundfile.write(folder / f"seed-{kind}.{ending}", tones(0.5, rate_hz), rate_hz, format=kind, subtype=subtype)
        mp3_without_header(folder / "seed-bare.mp3", 0.5)
    elif reader == "model_manifests":
        (folder / "seed-alexa").write_text(
            json.dumps({**json.loads(ALEXA.with_suffix(".json").read_text()), "model": "word.tflite"})
        )
    elif reader == "export":
        assert say("export", "-o", str(folder / "seed-export")).code == 0
    elif reader == "word_edits":
        (folder / "seed-weights").write_bytes(b"\0" + b"".join(bytes([0x80, n, n, 7, 9]) for n in range(4)))
    else:
        (folder / "seed-settings").write_text('{"cutoff_q8": 199, "gain_q8": 700}')
        (folder / "seed-profile").write_text('{"config": {"cutoff_q8": 199, "gain_q8": 700}}')
        (folder / "seed-script").write_text('{"level": "balanced", "write": true, "skip": ["word"], "room_s": 5, "words": 4}')


@pytest.mark.parametrize(
    ("reader", "count"),
    [("sound", 400), ("model_manifests", 200), ("export", 150), ("settings_files", 300), ("word_edits", 200)],
)
def test_mutated_file_is_read_or_refused_in_a_sentence(reader, count, tmp_path, say):
    folder = tmp_path / reader
    folder.mkdir()
    sources(reader, folder, say)
    words = [sys.executable, "-m", "tests.fuzz.mutations", reader, str(folder), str(SEED), str(count)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, f"{done.returncode}: {done.stdout}{done.stderr[-2000:]}"
    assert "Traceback" not in done.stderr
    read, refused = (int(part.split()[0]) for part in done.stdout.splitlines()[-1].split(", "))  # libsndfile prints, too
    assert min(read, refused) > count / 50, "the mutations are too mild, or too wild, to show anything"
    print(f"{reader}, seed {SEED}: {done.stdout.splitlines()[-1]}")
