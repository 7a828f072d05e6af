# SPDX-License-Identifier: MIT
# The sentinel's input, from the microphone's slots to "heard the word": conversion, gate, and faults of the microphone itself.
import binascii
import gc

from micropython import const

from lid import circuit, health
from lid.gate.arena import fill_words
from lid.gate.pcm import PcmInput

HOP_SAMPLES = const(160)
_RING_MS = const(96)  # what the I2S driver holds
_PAUSE_HOPS = const(100)  # between words and sentences
_AUDIO_HOPS = const(5)  # the last of the warm-up, which has a margin
_OVERRUN_HOPS = const(6000)  # one record a minute, however many

# Bits of the activity, as in lid.gate.activity
_ACTIVE = const(1)
_TELLING = const(2)
_LEVEL_SHIFT = const(2)


class Hearing:
    # detector: lid.gate.detector.Detector, or None when there is no word: the button still opens
    def __init__(self, board, detector):
        self._board = board
        self._detector = detector
        self.word = detector.name if detector else ""
        self.model = binascii.hexlify(detector.digest[:8]).decode() if detector else ""
        self.no_word = None  # (reason of a fault, bytes that found no place): why there is none
        self.pcm = PcmInput()
        self.slots = bytearray(HOP_SAMPLES * 4)
        self._microphone = health.MicrophoneMonitor()
        self._overrun = health.OverrunMonitor(_RING_MS)
        self._warm_up = 0
        self._overrun_at = -_OVERRUN_HOPS
        self.overruns = 0
        self.hit = False
        self.score = -1  # not known
        self.prob = 0
        self.energy_log2_q8 = 0
        self.quiet_hops = 0  # since somebody may have talked
        self.quiet = not detector  # nobody talks, for sure; never where it is too loud to tell. Without a word, always

    def configure(self, settings):
        self.pcm.set_gain(settings["gain_q8"])
        if self._detector:
            self._detector.configure(settings)
            self.score = self._detector.network.mean_q8

    def forget_word(self):
        self._detector = None
        self.quiet = True
        gc.collect()

    def start(self):
        if circuit.ONE_CHANNEL and not self._board.guarding:
            return  # the microphone is behind the lid
        self._board.listening = True
        self._board.start_microphone()
        self._warm_up = health.WARM_UP_HOPS
        self._microphone.reset()
        self._reset()

    def stop(self):
        self._board.listening = False
        self._board.stop_microphone()
        self._reset()

    def _reset(self):
        # Nothing heard stays in memory.
        fill_words(self.slots, 0, 0, HOP_SAMPLES)  # type: ignore[arg-type]
        self._overrun.reset()
        self.pcm.reset()
        if self._detector:
            self._detector.reset()
        self.hit = False
        self.quiet = not self._detector
        self.score = -1
        self.prob = self.energy_log2_q8 = self.quiet_hops = 0

    def push(self, recorder, now, step_ms, waited_ms):
        """Take in the hop in slots. recorder: lid.messages.Recorder, for faults; now in hops; times in ms."""
        lost = self._overrun.push(step_ms, waited_ms)
        if lost:
            self.overruns += lost
            if now - self._overrun_at >= _OVERRUN_HOPS:
                self._overrun_at = now
                recorder.append("fault", "overrun", lost * health.HOP_MS, _RING_MS)
        pcm = self.pcm
        hop = pcm.push(self.slots)
        self.hit = False
        detector = self._detector
        if self._warm_up:
            self._warm_up -= 1
            if detector and self._warm_up < _AUDIO_HOPS:
                detector.push(hop)  # its noise estimates begin with the room's
            elif detector:
                detector.prime()
            return
        verdict = self._microphone.push(pcm.liveness, pcm.clipped)
        if verdict:
            recorder.append("fault", verdict, self.peak(), pcm.clipped)
        self.quiet_hops += 1
        if detector:
            if detector.push(hop):
                network = detector.network
                self.hit = network.hit
                self.score = network.mean_q8
                self.prob = network.prob
            activity = detector.activity
            self.energy_log2_q8 = activity >> _LEVEL_SHIFT
            if activity & _ACTIVE:
                self.quiet_hops = 0
            self.quiet = activity & _TELLING != 0 and self.quiet_hops > _PAUSE_HOPS

    def skip(self, recorder):
        """A hop without samples: muted, or the driver does not start, which is recorded once."""
        self.quiet_hops += 1
        fault = self._board.microphone_fault
        if fault and fault[0] != self._microphone.verdict:
            self._microphone.verdict = fault[0]
            recorder.append("fault", fault[0], fault[1], gc.mem_free())

    def peak(self):
        return min(65535, max(self.pcm.high(), -self.pcm.low()))

    def cutoff_q8(self):
        return self._detector.cutoff_q8 if self._detector else 0

    @property
    def decision(self):
        return self._detector.network.decision if self._detector else 0
