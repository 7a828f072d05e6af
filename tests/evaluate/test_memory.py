# SPDX-License-Identifier: MIT
"""An evaluation holds blocks of a recording, not the recording: what it takes does not grow with its length."""

import subprocess
import sys

import numpy as np
import soundfile

SEED = 15
RATE_HZ = 16000
HOUR_LIMIT_MB = 150
# In a process of its own: the peak of one that did other things tells nothing. ru_maxrss would begin with the parent's.
RUN = """
import re, sys
from pathlib import Path
from earlid.evaluate import measure, recordings, tasks
from earlid.gate import models
sounds, _ = recordings.scan_recordings(Path(sys.argv[1]))
conditions = [tasks.Condition(), tasks.Condition(10.0)]
model = models.load("alexa")
for task in tasks.plan_tasks([], sounds, conditions, "alexa", model.digest.hex(), measure.code_digest(), 0):
    print(measure.run_task(task)["audio_s"])
print(re.search(r"VmHWM:\\\\s+(\\\\d+) kB", Path("/proc/self/status").read_text())[1])
""".replace("\\\\", "\\")


def peak_mb(folder, seconds):
    folder.mkdir()
    minute = np.random.default_rng(SEED).integers(-300, 300, 60 * RATE_HZ).astype(np.int16)
    with soundfile.SoundFile(folder / "long.flac", "w", RATE_HZ, 1) as file:
        for _ in range(seconds // 60):
            file.write(minute)
    done = subprocess.run([sys.executable, "-c", RUN, str(folder)], capture_output=True, text=True, check=True)
    *heard_s, peak_kb = done.stdout.split()
    assert [float(each) for each in heard_s] == [seconds, seconds]
    return int(peak_kb) * 1024 / 1e6


def test_an_hour_of_sound_takes_less_than_150_mb(tmp_path):
    short, long = peak_mb(tmp_path / "short", 180), peak_mb(tmp_path / "long", 420)
    by_hour = short + (long - short) * (3600 - 180) / 240
    print(f"3 minutes {short:.0f} MB, 7 minutes {long:.0f} MB: an hour {by_hour:.0f} MB")
    assert by_hour < HOUR_LIMIT_MB
