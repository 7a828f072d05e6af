# SPDX-License-Identifier: MIT
# Model of the ESP32's ADC1 as MicroPython's ADC.read_uv() has it: millivolts at a pin, and what is read. The virtual board's
# machine.ADC, the fault study and the rule of thresholds share it. Read by CPython and by MicroPython.
#
# Sources: ESP-IDF, components/esp_adc/esp32/adc_cali_line_fitting.c (both calibration schemes; ADC1's figures, Vref's spread);
# Espressif's "Analog to Digital Converter" guide, ESP-IDF 4.4 (ranges); errors: the ESP32 datasheet's "ADC calibration
# results", as others quote it.
# A chip has one scheme burned in: the reference voltage (all that are sold) or two points (by order, or by the user).

DB_0, DB_2_5, DB_6, DB_11 = range(4)  # as machine.ADC.ATTN_... number them
VREF, TWO_POINT = range(2)
LOW, NOMINAL, HIGH = -1, 0, 1  # ends of the spread

USABLE_MV = ((100, 950), (100, 1250), (150, 1750), (150, 2450))
ERROR_MV = (23, 30, 40, 60)  # total after calibration within that range: offset and slope
_VREF_MV = (1000, 1100, 1200)  # of the lowest, a usual and the highest chip
_STEPS = 4095
# millivolts a step times 65536, and millivolts at step 0: for 1100 mV
_SLOPE = ((15423, 20474, 28327, 52798), (15351, 20382, 28213, 52567))
_OFFSET_MV = ((75, 78, 107, 142), (85, 86, 112, 139))
# At 11 dB a table takes over at this step. With two points nothing sets the Vref that it is read for, and 0 gives this little.
_TABLE_STEP = 2880
_TABLE_TOP_MV = (3060, 3135, 3209)
_TABLE_WITHOUT_VREF_MV = 252


class Adc:
    """One chip's ADC1: a scheme and an end of the spread."""

    def __init__(self, scheme: int = VREF, end: int = NOMINAL) -> None:
        self.scheme = scheme
        self.end = end

    def floor_mv(self, atten: int) -> int:
        """What is read of 0 V. Two points are a chip's own: their line moves with the chip."""
        own = self.end * ERROR_MV[DB_0] if self.scheme == TWO_POINT else 0
        return _OFFSET_MV[self.scheme][atten] + own

    def linear_mv(self, atten: int) -> int:
        """The highest reading before the converter is full, or before the table of 11 dB."""
        steps = _TABLE_STEP if atten == DB_11 else _STEPS
        slope = _SLOPE[self.scheme][atten] * _VREF_MV[self.end + 1] // 1100
        return self.floor_mv(atten) + (slope * steps >> 16)

    def ceiling_mv(self, atten: int) -> int:
        """The highest reading."""
        return self.linear_mv(atten) if atten != DB_11 or self.scheme == TWO_POINT else _TABLE_TOP_MV[self.end + 1]

    def reading_mv(self, atten: int, pin_mv: int) -> int:
        """What is read of `pin_mv` at the pin."""
        error = self.end * ERROR_MV[atten]
        top = USABLE_MV[atten][1]
        if pin_mv > top:
            error = error * pin_mv // top
        mv = pin_mv + error
        ceiling = self.ceiling_mv(atten)
        if mv > ceiling:
            return _TABLE_WITHOUT_VREF_MV if atten == DB_11 and self.scheme == TWO_POINT else ceiling
        return max(mv, self.floor_mv(atten))


CORNERS = tuple([(scheme, end) for scheme in (VREF, TWO_POINT) for end in (LOW, HIGH)])
