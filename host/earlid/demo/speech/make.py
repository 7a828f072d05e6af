# SPDX-License-Identifier: MIT
"""Make the demo's speech with espeak-ng and flite (Debian packages): `python host/earlid/demo/speech/make.py`.

The clips are kept in the repository, so that a newcomer needs neither program. 16 kHz, mono, 16 bit, FLAC.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

RATE_HZ = 16000
PEAK = 0.35  # of full scale: a voice at a metre, with the board's gain

# name: (synthesiser and voice, words)
CLIPS = {
    "word-slt": (["flite", "-voice", "slt"], "Alexa"),
    "word-rms": (["flite", "-voice", "rms"], "Alexa"),
    "word-m3": (["espeak-ng", "-v", "en-us+m3", "-s", "150"], "Alexa"),
    "request-slt": (["flite", "-voice", "slt"], "what will the weather be like tomorrow?"),
    "babble-awb": (["flite", "-voice", "awb"], "The train was late again, so we walked along the river and talked about dinner."),
    "babble-gb": (
        ["espeak-ng", "-v", "en-gb", "-s", "160"],
        "Half of them had left before the music began, and nobody seemed to mind.",
    ),
}


def synthesise(command: list[str], words: str) -> npt.NDArray[np.int16]:
    """One clip as int16 samples at 16 kHz, its peak at PEAK, silence around it trimmed to 50 ms.

    Raises:
        subprocess.CalledProcessError: the synthesiser failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.wav"
        if command[0] == "flite":
            subprocess.run([*command, "-t", words, "-o", str(path)], check=True)
        else:
            subprocess.run([*command, "-w", str(path), words], check=True)
        clip, rate_hz = soundfile.read(path, dtype="float32")
    samples: npt.NDArray[np.float32] = soxr.resample(clip, rate_hz, RATE_HZ)
    loud = np.flatnonzero(np.abs(samples) > 0.01 * np.abs(samples).max())
    edge = RATE_HZ // 20
    samples = samples[max(0, loud[0] - edge) : loud[-1] + edge]
    pcm: npt.NDArray[np.int16] = np.round(samples / np.abs(samples).max() * PEAK * 32767).astype(np.int16)
    return pcm


def main() -> None:
    """Write every clip beside this file."""
    folder = Path(__file__).parent
    for name, (command, words) in CLIPS.items():
        soundfile.write(folder / f"{name}.flac", synthesise(command, words), RATE_HZ, subtype="PCM_16")


if __name__ == "__main__":
    main()
