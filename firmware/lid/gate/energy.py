# The energy gate: is the hop louder than what has been usual? It decides whether the network runs at all.
# Levels are log2 of the mean square, in Q8: 85 is one decibel, 7680 a square wave at full scale, 0 one bit or silence.
# push() allocates nothing.
import micropython
from micropython import const

_LOG2_SAMPLES_Q8 = const(1618)  # log2(80)
_FLOOR_START_Q8 = const(2560)  # -60 dBFS: a first hop that is louder need not be background
_QUIET_Q16 = const(-65536)  # 3 dB below the floor
_CREEP_LATE_HOPS = const(200)  # open for longer than this: rather a fan than speech


@micropython.viper
def level(x: int, pcm: ptr16) -> int:
    # Every second sample: aliasing moves energy to other frequencies, but loses none.
    total = 0
    low = 0
    high = 0
    end = int(pcm) + 320
    while int(pcm) < end:
        x = (pcm[0] ^ 32768) - 32768
        total = x + total
        squares = uint(x * x)
        x = (pcm[2] ^ 32768) - 32768
        total = x + total
        squares = uint(x * x) + squares
        low = int(squares & 65535) + low
        high = int(squares >> 16) + high
        pcm = ptr16(int(pcm) + 8)
    # Less the mean: sum of (x - m)^2 = sum of x^2 - 80 m^2 - 2 m (sum of x - 80 m), for any m
    mean = total // 80
    x = mean * mean
    low -= (x & 65535) * 80 + mean * 2 * (total - mean * 80)
    high += (low >> 16) - (x >> 16) * 80
    low &= 65535
    # log2 of high * 65536 + low
    if high > 16383:
        x = high
        octaves = 16 * 256 - _LOG2_SAMPLES_Q8
    else:
        x = high << 16 | low
        octaves = 0 - _LOG2_SAMPLES_Q8
    if x < 81:
        return 0
    while x > 511:
        x >>= 1
        octaves += 256
    while x < 256:
        x <<= 1
        octaves -= 256
    x -= 256
    return octaves + 8 * 256 + x + (x * (256 - x) * 88 >> 16)


class Energy:
    def __init__(self, on_q8=384, off_q8=192, hang_hops=60, creep_q8=5):
        self.on_q8 = on_q8  # opens this far above the floor
        self.off_q8 = off_q8  # closes below this
        self.hang_hops = hang_hops  # and so long after
        self.creep_q8 = creep_q8  # how much the floor rises in a hop while the gate is open
        self.reset()

    def reset(self):
        self.energy_log2_q8 = 0
        self.floor_log2_q8 = -1  # not known
        self.open = False
        self._floor_q16 = 0
        self._smooth_q8 = 0
        self._hang = 0
        self._open_hops = 0

    # hop: 160 signed 16-bit samples. True while the gate is open.
    def push(self, hop):
        now = level(0, hop)
        self.energy_log2_q8 = now
        if self.floor_log2_q8 < 0:
            self.floor_log2_q8 = self._smooth_q8 = min(now, _FLOOR_START_Q8)
            self._floor_q16 = self.floor_log2_q8 << 8
        above = now - self.floor_log2_q8
        self._smooth_q8 += now - self._smooth_q8 >> 2
        if above > self.on_q8:
            self._hang = self.hang_hops
        elif self._hang:
            if self._smooth_q8 - self.floor_log2_q8 > self.off_q8:
                self._hang = self.hang_hops
            else:
                self._hang -= 1
        self.open = self._hang > 0
        self._adapt(above << 8)
        return self.open

    # The floor follows the mean while the gate is closed, creeps while it is open, and falls fast when it got quiet.
    def _adapt(self, above_q16):
        step = above_q16 >> (3 if above_q16 < _QUIET_Q16 else 5)
        if self.open:
            self._open_hops += 1
            step = min(step, self.creep_q8 << (10 if self._open_hops > _CREEP_LATE_HOPS else 8))
        else:
            self._open_hops = 0
        self._floor_q16 += step
        self.floor_log2_q8 = self._floor_q16 >> 8
