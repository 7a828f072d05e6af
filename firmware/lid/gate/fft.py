# The windowed 512-point real FFT, rounded at every step as kissfft's int16 build rounds, and its power spectrum.
#
# Real input of 512 samples = 256 complex ones -> four radix-4 stages -> split into 257 bins.
# Values rest in 16 bits with 32768 added: viper loads 16 bits unsigned, and the bias costs nothing, as it folds into
# the constants of the next multiplication. Every stage reads at a stride of 64 and writes four in a row, so that all
# offsets are constants; the result then lies in digit-reversed order.
import micropython


@micropython.viper
def bias(pcm: ptr16, out: ptr16):
    # 160 signed samples -> unsigned, 32768 in the middle
    end = int(pcm) + 320
    while int(pcm) < end:
        out[0] = pcm[0] ^ 32768
        out[1] = pcm[1] ^ 32768
        out[2] = pcm[2] ^ 32768
        out[3] = pcm[3] ^ 32768
        out[4] = pcm[4] ^ 32768
        out[5] = pcm[5] ^ 32768
        out[6] = pcm[6] ^ 32768
        out[7] = pcm[7] ^ 32768
        pcm = ptr16(int(pcm) + 16)
        out = ptr16(int(out) + 16)


# In the kernels below the first two arguments are only names for the two registers that viper gives to locals: the
# values used most go there. All others rest on the stack.


@micropython.viper
def window(v: int, squares: int, x: ptr16, c: ptr16, out: ptr16, oldest: int) -> int:
    # Three hops of history, the oldest first, times the window. Returns how far left the result can be shifted.
    # The top bit of the largest magnitude comes from OR-ed squares: no branch, no absolute value.
    end = int(x) + 960
    x = ptr16(int(x) + oldest * 320)
    last = int(c) + 960
    while int(c) < last:
        pause = int(c) + 320
        while int(c) < pause:
            v = (x[0] - 32768) * c[0] >> 12
            out[0] = v
            squares = v * v | squares
            v = (x[1] - 32768) * c[1] >> 12
            out[1] = v
            squares = v * v | squares
            v = (x[2] - 32768) * c[2] >> 12
            out[2] = v
            squares = v * v | squares
            v = (x[3] - 32768) * c[3] >> 12
            out[3] = v
            squares = v * v | squares
            v = (x[4] - 32768) * c[4] >> 12
            out[4] = v
            squares = v * v | squares
            v = (x[5] - 32768) * c[5] >> 12
            out[5] = v
            squares = v * v | squares
            v = (x[6] - 32768) * c[6] >> 12
            out[6] = v
            squares = v * v | squares
            v = (x[7] - 32768) * c[7] >> 12
            out[7] = v
            squares = v * v | squares
            v = (x[8] - 32768) * c[8] >> 12
            out[8] = v
            squares = v * v | squares
            v = (x[9] - 32768) * c[9] >> 12
            out[9] = v
            squares = v * v | squares
            v = (x[10] - 32768) * c[10] >> 12
            out[10] = v
            squares = v * v | squares
            v = (x[11] - 32768) * c[11] >> 12
            out[11] = v
            squares = v * v | squares
            v = (x[12] - 32768) * c[12] >> 12
            out[12] = v
            squares = v * v | squares
            v = (x[13] - 32768) * c[13] >> 12
            out[13] = v
            squares = v * v | squares
            v = (x[14] - 32768) * c[14] >> 12
            out[14] = v
            squares = v * v | squares
            v = (x[15] - 32768) * c[15] >> 12
            out[15] = v
            squares = v * v | squares
            c = ptr16(int(c) + 32)
            out = ptr16(int(out) + 32)
            x = ptr16(int(x) + 32)
        if int(x) == end:
            x = ptr16(end - 960)
    v = 0
    while v < 32:  # samples 480..511 are zero; the transform uses this buffer for its own work
        out[v] = 0
        v += 1
    shift = 15
    v = squares & 0x3FFFFFFF
    while v:
        v >>= 2
        shift -= 1
    if squares != squares & 0x3FFFFFFF and shift > 0:
        # The reference does not see -32768 (its negative does not fit), shifts it left and loses it.
        v = -480
        while v < 0:
            if out[v] == 32768:
                out[v] = 0
            v += 1
    return shift


@micropython.viper
def first_stage(x: int, y: int, a: ptr16, out: ptr16, gain: int):
    # Signed samples, shifted and divided by 4 in one multiplication. No twiddles.
    end = int(a) + 256
    while int(a) < end:
        far = ptr16(int(a) + 512)
        x = ((a[0] ^ 32768) - 32768) * gain + 16384 >> 15
        y = ((far[0] ^ 32768) - 32768) * gain + 16384 >> 15
        sum_r = x + y + 32768
        dif_r = x - y + 32768
        x = ((a[1] ^ 32768) - 32768) * gain + 16384 >> 15
        y = ((far[1] ^ 32768) - 32768) * gain + 16384 >> 15
        sum_i = x + y + 32768
        dif_i = x - y + 32768
        x = ((a[128] ^ 32768) - 32768) * gain + 16384 >> 15
        y = ((far[128] ^ 32768) - 32768) * gain + 16384 >> 15
        out[0] = x + y + sum_r
        out[4] = sum_r - x - y
        out[3] = dif_i - x + y
        out[7] = x - y + dif_i
        x = ((a[129] ^ 32768) - 32768) * gain + 16384 >> 15
        y = ((far[129] ^ 32768) - 32768) * gain + 16384 >> 15
        out[1] = x + y + sum_i
        out[5] = sum_i - x - y
        out[2] = x - y + dif_r
        out[6] = dif_r - x + y
        a = ptr16(int(a) + 4)
        out = ptr16(int(out) + 16)


@micropython.viper
def stages(x: int, y: int, source: ptr16, target: ptr16, twiddles: ptr16):
    # Radix-4 butterflies over 16, 64 and 256 values: source -> target -> source -> target. Each input is divided by 4
    # and rounded, turned and rounded, then added up.
    span = 4
    while span < 256:
        a = source
        out = target
        last = int(twiddles) + 12 * span
        end = int(a) + 256
        while int(a) < end:
            # The first of each run is not turned
            far = ptr16(int(a) + 512)
            x = a[0] * 8191 + 805355520 >> 15
            y = far[0] * 8191 - 268386304 >> 15
            sum_r = x + y
            dif_r = x - y
            x = a[1] * 8191 + 805355520 >> 15
            y = far[1] * 8191 - 268386304 >> 15
            sum_i = x + y
            dif_i = x - y
            x = a[128] * 8191 - 268386304 >> 15
            y = far[128] * 8191 - 268386304 >> 15
            out[0] = x + y + sum_r
            out[4] = sum_r - x - y
            out[3] = dif_i - x + y
            out[7] = x - y + dif_i
            x = a[129] * 8191 - 268386304 >> 15
            y = far[129] * 8191 - 268386304 >> 15
            out[1] = x + y + sum_i
            out[5] = sum_i - x - y
            out[2] = x - y + dif_r
            out[6] = dif_r - x + y
            out = ptr16(int(out) + 16)
            a = ptr16(int(a) + 4)
            tw = ptr16(int(twiddles) + 12)
            while int(tw) < last:
                far = ptr16(int(a) + 512)
                x = far[0] * 8191 - 268386304 >> 15
                y = far[1] * 8191 - 268386304 >> 15
                br = (x * tw[2] + y * tw[3] + 16384 >> 15) - x
                bi = (y * tw[2] - x * tw[3] + 16384 >> 15) - y
                x = a[0] * 8191 + 805355520 >> 15
                sum_r = x + br
                dif_r = x - br
                x = a[1] * 8191 + 805355520 >> 15
                sum_i = x + bi
                dif_i = x - bi
                x = a[128] * 8191 - 268386304 >> 15
                y = a[129] * 8191 - 268386304 >> 15
                br = x * tw[0] + y * tw[1] + 16384 >> 15
                bi = y * tw[0] - x * tw[1] + 16384 >> 15
                x = far[128] * 8191 - 268386304 >> 15
                y = far[129] * 8191 - 268386304 >> 15
                dr = (x * tw[4] + y * tw[5] + 16384 >> 15) - x - y
                y = (y * tw[4] - x * tw[5] + 16384 >> 15) - y + x
                x = bi
                out[1] = x + y + sum_i
                out[5] = sum_i - x - y
                out[2] = x - y + dif_r
                out[6] = dif_r - x + y
                x = br
                y = dr
                out[0] = x + y + sum_r
                out[4] = sum_r - x - y
                out[3] = dif_i - x + y
                out[7] = x - y + dif_i
                out = ptr16(int(out) + 16)
                a = ptr16(int(a) + 4)
                tw = ptr16(int(tw) + 12)
        span <<= 2
        a = source
        source = target
        target = a


@micropython.viper
def spectrum(x: int, y: int, split: ptr16, z: ptr16, bins: ptr32):
    # Complex 256 -> real 512, straight to energies of bins 5..251. `bins` is indexed by the frequency bin.
    up = ptr32(int(bins) + 20)
    down = ptr32(int(bins) + 1004)
    while int(up) <= int(down):
        near = ptr16(int(z) + split[0])
        far = ptr16(int(z) + split[1])
        x = near[0] * 16383 - 536821760 >> 15
        y = far[0] * 16383 - 536821760 >> 15
        sum_r = x + y
        dif_r = x - y
        x = near[1] * 16383 - 536821760 >> 15
        y = 536854528 - far[1] * 16383 >> 15  # of the conjugate: rounding is not symmetric
        sum_i = x + y
        x -= y
        y = dif_r
        turned_r = x * split[3] - y * split[2] + 16384 >> 15
        turned_i = 16384 - x * split[2] - y * split[3] >> 15
        x = sum_r + turned_r >> 1
        y = sum_i + turned_i >> 1
        up[0] = x * x + y * y
        x = sum_r - turned_r >> 1
        y = turned_i - sum_i >> 1
        down[0] = x * x + y * y
        split = ptr16(int(split) + 8)
        up = ptr32(int(up) + 4)
        down = ptr32(int(down) - 4)
