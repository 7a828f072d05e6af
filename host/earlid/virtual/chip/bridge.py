# SPDX-License-Identifier: MIT
# The chip's end of the protocol: one request out, one answer in. Nothing here allocates after start-up.
from array import array

from micropython import const
from protocol import (
    ANSWER_HEADER,
    FLAG_INTERRUPT,
    MAX_EVENTS,
    MAX_PAYLOAD,
    MAX_REQUEST_PAYLOAD,
    OP_FLASH_ERASE,
    OP_FLASH_WRITE,
    OP_SLEEP,
    OP_SYNC,
    REQUEST_HEADER,
)

_ANSWER_FD = const(3)
_REQUEST_FD = const(4)
_MAX_DRIFT_US = const(25000)  # longer without a request, and the simulation would not see the time pass
_CALL_US = const(3)  # what a call into the port costs on the chip
_COLLECTION_HOPS = const(160)

_answers = open(_ANSWER_FD, "rb")
_requests = open(_REQUEST_FD, "wb")
_request = bytearray(REQUEST_HEADER + 8 * MAX_EVENTS + MAX_REQUEST_PAYLOAD)
answer = bytearray(ANSWER_HEADER + MAX_PAYLOAD)

# Words of state, kept in an array so that viper reaches them (as 32-bit halves, at twice the number): the clock at the
# last answer, microseconds since then, events held
_CLOCK = const(0)
_DRIFT = const(1)
_HELD = const(2)
_NOISE = const(3)
_LATE = const(4)  # Ctrl-C came in the middle of a request
_FED = const(5)  # microseconds (and one) at which the watchdog was fed last, 0 if it was not
_WORK = const(6)  # microseconds of a hop's work, spent when the chip next reads or sets a pin: clock and ADC it reads before
_HOPS = const(7)
_state = array("l", (0, 0, 0, 1, 0, 0, 0, 0))  # "q" would make a new integer at every look


@micropython.viper
def _put_event(request: ptr32, state: ptr32, what: int):
    held = state[4]
    request[6 + 2 * held] = state[2]
    request[7 + 2 * held] = what
    state[4] = held + 1


@micropython.viper
def _put_header(request: ptr32, state: ptr32, op: int, a: int, b: int) -> int:
    request[0] = op
    request[1] = state[4]
    request[2] = state[2]
    request[3] = a
    request[4] = b
    request[5] = state[10]
    state[10] = 0
    held = state[4]
    state[4] = 0
    state[2] = 0
    return 24 + 8 * held


@micropython.viper
def _take_header(reply: ptr32, state: ptr32) -> int:
    state[0] = reply[0]
    state[1] = reply[1]
    return reply[5]


@micropython.viper
def move(to: ptr8, to_offset: int, source: ptr8, source_offset: int, length: int):
    words = length >> 2
    to4 = ptr32(int(to) + to_offset)
    source4 = ptr32(int(source) + source_offset)
    i = 0
    while i < words:
        to4[i] = source4[i]
        i += 1
    i = words << 2
    while i < length:
        to[to_offset + i] = source[source_offset + i]
        i += 1


@micropython.viper
def _level(reply: ptr8, pin: int) -> int:
    return (reply[8 + (pin >> 3)] >> (pin & 7)) & 1


@micropython.viper
def _adc_mv(reply: ptr16, pin: int) -> int:
    return reply[12 + pin - 32]


@micropython.viper
def status() -> int:
    reply = ptr32(answer)
    code = reply[4]
    return code - ((code >> 31 & 1) << 32)


def call(op, a=0, b=0, answer_bytes=0, payload=None, payload_offset=0, payload_bytes=0):
    if _state[_WORK]:
        _state[_DRIFT] += _state[_WORK]
        _state[_WORK] = 0
    size = _put_header(_request, _state, op, a, b)
    if payload is not None:
        move(_request, size, payload, payload_offset, payload_bytes)
        size += payload_bytes
    _requests.write(_request, size)
    while True:  # whatever Ctrl-C does: an answer that is owed is read, or the next one would be taken for it
        try:
            got = _answers.readinto(answer, ANSWER_HEADER + answer_bytes)
            break
        except KeyboardInterrupt:
            _state[_LATE] = 1
    if got != ANSWER_HEADER + answer_bytes:
        raise SystemExit  # the simulation has ended
    if _take_header(answer, _state) & FLAG_INTERRUPT:
        _state[_LATE] = 1
    if _state[_LATE] and not OP_FLASH_WRITE <= op <= OP_FLASH_ERASE:  # never out of the middle of littlefs
        _state[_LATE] = 0
        raise KeyboardInterrupt


def send_last(op):
    # A request that is not answered: what follows it is a reset
    _requests.write(_request, _put_header(_request, _state, op, 0, 0))
    while True:
        _answers.readinto(answer, ANSWER_HEADER)


def sync():
    call(OP_SYNC)


def begin_hop(work_us, collection_us):
    hops = _state[_HOPS] + 1
    _state[_HOPS] = hops
    _state[_WORK] = work_us if hops % _COLLECTION_HOPS else work_us + collection_us


def spend(us):
    us += _state[_WORK]
    _state[_WORK] = 0
    _pass(us)


def _pass(us):
    _state[_DRIFT] += us
    if _state[_DRIFT] > _MAX_DRIFT_US:
        sync()


def now_us():
    _pass(_CALL_US)
    return _state[_CLOCK] + _state[_DRIFT]


def sleep_us(us):
    if us > 0:
        while us > 1000000000:
            call(OP_SLEEP, 1000000000)
            us -= 1000000000
        call(OP_SLEEP, us)
    else:
        spend(_CALL_US)


def event(what):
    if _state[_HELD] >= MAX_EVENTS:
        sync()
    spend(1)
    _put_event(_request, _state, what)


@micropython.viper
def feed():
    state = ptr32(_state)
    state[10] = state[2] + 1


def input_level(pin):
    spend(_CALL_US)
    return _level(answer, pin)


def adc_mv(pin):
    # At the pin. A conversion takes its time and has its noise
    _pass(40)
    noise = (_state[_NOISE] * 1103515245 + 12345) & 0x7FFFFFFF
    _state[_NOISE] = noise
    return max(0, _adc_mv(answer, pin) + (noise >> 16) % 5 - 2)


def seed_noise(seed):
    _state[_NOISE] = seed & 0x7FFFFFFF
