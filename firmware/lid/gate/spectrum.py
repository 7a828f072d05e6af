# SPDX-License-Identifier: MIT
# The last two stages of the transform in fft.py, and from them the energies of the bins that the filterbank reads.
import micropython


@micropython.viper
def butterflies(x: int, y: int, a: ptr16, out: ptr32, turns: ptr32):
    # The third stage, a -> out, and the last, back into `a`, have 64 butterflies each. (x + iy) turned takes three
    # multiplications: t = (x + y) cos, then t + y (sin - cos) and t - x (sin + cos).
    again = int(out)
    start = int(a)
    angles = turns
    # Four in a row share their angles
    last = int(a) + 2048
    while int(a) < last:
        c1 = turns[0]
        m1 = turns[1] - 32768
        n1 = 0 - turns[2]
        m2 = turns[4] - 32768
        c2 = turns[3] - m2
        n2 = 0 - turns[3] - c2
        c3 = turns[6] - 32768
        n3 = 32768 - turns[7] - c3
        m3 = 0 - n3 - c3 - c3
        turns = ptr32(int(turns) + 128)
        pause = int(a) + 128
        while int(a) < pause:
            far = ptr32(int(out) + 1024)
            x = a[5] - 8192
            y = a[7] - 8192
            t = (x + y) * c1 + 16384
            r = (y * m1 + t >> 15) * 16382
            i = (x * n1 + t >> 15) * 16382
            x = a[9] - 8192
            y = a[11] - 8192
            t = (x + y) * c2 + 16384
            other = (y * m2 + t >> 15) * 16382
            y = (x * n2 + t >> 15) * 16382
            x = a[3] * 16382 + 402702336
            sum_i = x + y
            dif_i = x - y
            x = a[1] * 16382 + 402702336
            y = other
            sum_r = x + y
            dif_r = x - y
            x = a[13] - 8192
            y = a[15] - 8192
            t = (x + y) * c3 + 16384
            other = (y * m3 + t >> 15) * 16382
            y = (x * n3 + t >> 15) * 16382
            x = i
            out[1] = x + y + sum_i
            far[1] = sum_i - x - y
            out[128] = x - y + dif_r
            far[128] = dif_r - x + y
            x = r
            y = other
            out[0] = x + y + sum_r
            far[0] = sum_r - x - y
            out[129] = dif_i - x + y
            far[129] = x - y + dif_i
            out = ptr32(int(out) + 8)
            a = ptr16(int(a) + 32)
    # Each has angles of its own. What is stored is what the split needs: each value halved and rounded, 16383 added.
    # Bins from 128 on are read as conjugates, whose imaginary part rounds the other way.
    a = ptr16(again)
    out = ptr32(start)
    turns = angles
    end = again + 2048
    while int(a) < end:
        far = ptr32(int(out) + 1024)
        x = a[5] - 8192
        y = a[7] - 8192
        t = (x + y) * turns[0] + 16384
        r = ((y * turns[1] + t >> 15) - y) * 32766
        i = (t - x * turns[2] >> 15) * 32766
        x = a[9] - 8192
        y = a[11] - 8192
        t = (x + y) * turns[3] + 16384
        other = ((t - x * turns[4] >> 15) + x) * 32766
        y = ((y * turns[5] - t + 32768 >> 15) - y) * 32766
        x = a[3] * 32766 + 805289984
        sum_i = x + y
        dif_i = x - y
        x = a[1] * 32766 + 805289984
        y = other
        sum_r = x + y
        dif_r = x - y
        x = a[13] - 8192
        y = a[15] - 8192
        other = ((x * turns[6] + y * turns[7] + 16384 >> 15) - x - y) * 32766
        y = ((y * turns[6] - x * turns[7] + 16384 >> 15) - y + x) * 32766
        x = i
        out[1] = x + y + sum_i
        far[1] = sum_i - x - y - 2
        out[128] = x - y + dif_r
        far[128] = dif_r - x + y
        x = r
        y = other
        out[0] = x + y + sum_r
        far[0] = sum_r - x - y
        out[129] = dif_i - x + y
        far[129] = x - y + dif_i - 2
        x = a[21] - 8192
        y = a[23] - 8192
        t = (x + y) * turns[8] + 16384
        r = ((y * turns[9] + t >> 15) - y) * 32766
        i = (t - x * turns[10] >> 15) * 32766
        x = a[25] - 8192
        y = a[27] - 8192
        t = (x + y) * turns[11] + 16384
        other = ((t - x * turns[12] >> 15) + x) * 32766
        y = ((y * turns[13] - t + 32768 >> 15) - y) * 32766
        x = a[19] * 32766 + 805289984
        sum_i = x + y
        dif_i = x - y
        x = a[17] * 32766 + 805289984
        y = other
        sum_r = x + y
        dif_r = x - y
        x = a[29] - 8192
        y = a[31] - 8192
        other = ((x * turns[14] + y * turns[15] + 16384 >> 15) - x - y) * 32766
        y = ((y * turns[14] - x * turns[15] + 16384 >> 15) - y + x) * 32766
        x = i
        out[3] = x + y + sum_i
        far[3] = sum_i - x - y - 2
        out[130] = x - y + dif_r
        far[130] = dif_r - x + y
        x = r
        y = other
        out[2] = x + y + sum_r
        far[2] = sum_r - x - y
        out[131] = dif_i - x + y
        far[131] = x - y + dif_i - 2
        out = ptr32(int(out) + 16)
        a = ptr16(int(a) + 64)
        turns = ptr32(int(turns) + 64)


@micropython.viper
def spectrum(x: int, y: int, near: ptr16, split: ptr16):
    # Complex 256 -> real 512, straight to energies of bins 4..252, each in the first word of its bin's two.
    far = ptr16(int(near) + 2008)
    near = ptr16(int(near) + 32)
    while int(near) < int(far):
        x = near[1]
        sum_r = x + far[5] - 32766
        y = x - far[5]
        x = near[3]
        sum_i = x - far[7]
        x = x + far[7] - 32766
        turned = x * split[1] + y * split[0] + 16383 >> 15  # of the conjugate: rounding is not symmetric
        y = x * split[0] - y * split[1] + 16384 >> 15
        x = y + sum_r >> 1
        y = sum_r - y >> 1
        square = x * x
        x = sum_i - turned >> 1
        ptr32(near)[0] = x * x + square
        square = y * y
        y = turned + sum_i + 1 >> 1
        ptr32(far)[2] = y * y + square
        x = near[5]
        sum_r = x + far[1] - 32766
        y = x - far[1]
        x = near[7]
        sum_i = x - far[3]
        x = x + far[3] - 32766
        turned = x * split[3] + y * split[2] + 16383 >> 15
        y = x * split[2] - y * split[3] + 16384 >> 15
        x = y + sum_r >> 1
        y = sum_r - y >> 1
        square = x * x
        x = sum_i - turned >> 1
        ptr32(near)[2] = x * x + square
        square = y * y
        y = turned + sum_i + 1 >> 1
        ptr32(far)[0] = y * y + square
        split = ptr16(int(split) + 8)
        near = ptr16(int(near) + 16)
        far = ptr16(int(far) - 16)
    # Bin 128 is its own counterpart, at once conjugate and not
    x = near[1] - 16383
    y = ptr32(near)[1] + 2 >> 16
    sum_i = y - near[3]
    y = ((y + near[3] - 32766) * 32767 + 16383 >> 15) + sum_i + 1 >> 1
    ptr32(near)[0] = x * x + y * y
