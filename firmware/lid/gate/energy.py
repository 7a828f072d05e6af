# The energy gate: is the hop louder than what has been usual? It decides whether the network runs at all.
# Levels are log2 of the mean square, in Q8: 85 is one decibel, 7680 a square wave at full scale, 0 one bit or silence.
# push() allocates nothing.
import micropython
from micropython import const

_LOG2_SAMPLES_Q8 = const(1618)  # log2(80)
_FLOOR_START_Q8 = const(2560)  # -60 dBFS: a first hop that is louder need not be background
_QUIET_Q8 = const(-256)  # 3 dB below the floor
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


# Words of the state
_KNOWN = const(0)
_FLOOR_Q16 = const(1)
_SMOOTH_Q8 = const(2)
_HANG = const(3)
_OPEN_HOPS = const(4)


@micropython.viper
def decide(now: int, above: int, state: ptr32, on_q8: int, off_q8: int, hang_hops: int, creep_q8: int) -> int:
    # Twice the floor, plus one while the gate is open.
    if state[_KNOWN] == 0:
        above = now if now < _FLOOR_START_Q8 else _FLOOR_START_Q8
        state[_KNOWN] = 1
        state[_FLOOR_Q16] = above << 8
        state[_SMOOTH_Q8] = above
    floor = state[_FLOOR_Q16] >> 8
    smooth = state[_SMOOTH_Q8]
    smooth += now - smooth >> 2
    state[_SMOOTH_Q8] = smooth
    above = now - floor
    hang = state[_HANG]
    if above > on_q8:
        hang = hang_hops
    elif hang > 0:
        if smooth - floor > off_q8:
            hang = hang_hops
        else:
            hang -= 1
    state[_HANG] = hang
    # The floor follows the mean while the gate is closed, creeps while it is open, and falls fast when it got quiet.
    step = above << (5 if above < _QUIET_Q8 else 3)
    if hang > 0:
        hops = state[_OPEN_HOPS] + 1
        limit = creep_q8 << 8
        if hops > _CREEP_LATE_HOPS:
            limit <<= 2
            hops -= 1
        state[_OPEN_HOPS] = hops
        if step > limit:
            step = limit
        hang = 1
    else:
        state[_OPEN_HOPS] = 0
    floor = state[_FLOOR_Q16] + step
    state[_FLOOR_Q16] = floor
    return (floor >> 8 << 1) + hang


class Energy:
    def __init__(self, on_q8=384, off_q8=192, hang_hops=60, creep_q8=5):
        self.on_q8 = on_q8  # opens this far above the floor
        self.off_q8 = off_q8  # closes below this
        self.hang_hops = hang_hops  # and so long after
        self.creep_q8 = creep_q8  # how much the floor rises in a hop while the gate is open
        self._state = bytearray(20)
        self.reset()

    def reset(self):
        for i in range(20):
            self._state[i] = 0
        self.energy_log2_q8 = 0
        self.floor_log2_q8 = 0
        self.open = False

    # hop: 160 signed 16-bit samples. True while the gate is open.
    def push(self, hop):
        now = level(0, hop)
        floor = decide(now, 0, self._state, self.on_q8, self.off_q8, self.hang_hops, self.creep_q8)
        self.energy_log2_q8 = now
        self.floor_log2_q8 = floor >> 1
        self.open = opened = floor & 1 == 1
        return opened
