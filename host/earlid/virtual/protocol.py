# SPDX-License-Identifier: MIT
# Protocol between the chip and the simulation. Read by CPython and by MicroPython.
#
# Chip to simulation, one packet a request: op u32, number of pin events u32, microseconds since the last answer u32,
# two arguments u32, when the watchdog was fed u32 (plus one; 0: was not), the events (two u32
# each: when, what), then the payload.
# Simulation to chip, one packet an answer: clock u64, input levels u64 (a bit a GPIO), status i32, flags u32,
# eight ADC readings u16 (GPIO 32 to 39, millivolts at the pin), then the payload that the request asked for.
try:
    from micropython import const
except ImportError:  # CPython reads this file too

    def const(value: int) -> int:
        return value


REQUEST_HEADER = const(24)
ANSWER_HEADER = const(40)
MAX_EVENTS = const(64)
MAX_PAYLOAD = const(16384)  # of an answer
MAX_REQUEST_PAYLOAD = const(2048)  # with header and events still less than a pipe takes whole

# OP_HELLO's answer: payload of HELLO_BYTES: raw REPL wanted, reset cause, the ROM's cause, the ADC's scheme and end (plus
# one), microseconds of reading a block of flash, 2 spare, seed u64, microseconds of work u32 (a hop, one inference, a
# collection of garbage, 4 spare), then text: module, class, method of the inference
OP_HELLO = const(1)
OP_PHASE = const(2)  # a: PHASE_...
OP_SYNC = const(3)  # bring the clock and the pins up to date
OP_SLEEP = const(4)  # a: microseconds
OP_I2S_START = const(5)  # payload: bits, stereo, rate, ibuf as u32
OP_I2S_READ = const(6)  # a: bytes wanted, b: 1 to wait for them; answer: status is how many there are
OP_FLASH_WRITE = const(9)  # a: address, b: length, payload
OP_FLASH_ERASE = const(10)  # a: address, b: length
OP_WDT_START = const(11)  # a: timeout in milliseconds
OP_RESET = const(12)  # no answer
OP_SOFT_RESET = const(13)  # no answer
OP_RTC_WRITE = const(14)  # a: length, payload
OP_RTC_READ = const(15)  # answer: status is the length, payload of RTC_BYTES

HELLO_BYTES = const(112)
RTC_BYTES = const(2048)  # of the RTC's memory that the port gives to Python

PHASE_CODE = const(1)  # boot.py or main.py
PHASE_REPL = const(2)

# Events: kind in bits 8 to 15, pin in bits 0 to 7, value above
EVENT_LEVEL = const(0)
EVENT_MODE = const(1)

MODE_INPUT = const(0)
MODE_OUTPUT = const(1)

FLAG_INTERRUPT = const(1)  # Ctrl-C came while the chip waited

FLASH_BLOCK = const(4096)
FLASH_FD = const(5)  # what the cells hold, for the chip to read; only the simulation writes there
