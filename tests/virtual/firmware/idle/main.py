# SPDX-License-Identifier: MIT
# Nothing but a sign of life five times a second, for the tests of the serial port.
import time

beats = 0
while True:
    beats += 1
    print("beat", beats)
    time.sleep_ms(200)
