# SPDX-License-Identifier: MIT
# The copper's figures: which pin does what, and what a healthy circuit measures.
# Simulated, not yet measured on a bench. Written by `python -m hardware` from the netlist and the simulated boards:
# change those, not this file. The firmware, the virtual board and the drawings share it.
from lid.portable import const

ONE_CHANNEL = const(1)

# Pins (ESP32 GPIO numbers)
SENTINEL_PUMP_PIN = const(18)
GUARDED_PUMP_PIN = const(18)
SENTINEL_RAIL_PIN = const(34)
GUARDED_RAIL_PIN = const(34)
ARM_SENSE_PIN = const(36)
MUTE_SENSE_PIN = const(39)
I2S_SCK_PIN = const(26)
I2S_WS_PIN = const(25)
I2S_SD_PIN = const(33)
STATUS_LED_PIN = const(27)
BUZZER_PIN = const(23)
TALK_BUTTON_PIN = const(32)  # to ground when pressed, pulled up

# Dividers: millivolts at the source = millivolts at the pin * SCALE_Q10 / 1024
SENTINEL_SCALE_Q10 = const(1505)  # 47k / 100k
GUARDED_SCALE_Q10 = const(1505)  # 47k / 100k: the same: the board's own microphone is the guarded one
SENSE_SCALE_Q10 = const(2560)  # 150k / 100k
FULL_MV = const(800)  # at a pin: what reads as more without attenuation is read with it
ATTEN = const(3)  # which, as machine.ADC numbers them
GUARDED_ATTEN = const(3)  # the same of the guarded rail

# Pump and relay; a drop is counted from the last edge
TOGGLE_MS = const(10)  # one edge a hop
TOLERATED_PAUSE_MS = const(60)  # between two edges, on every simulated board
PAUSE_FROM_MS = const(350)  # after the first edge: until then the tank is filling and a pause may close the lid
SLOW_TOGGLE_MS = const(50)  # edges this far apart must never close a contact: the self-test of the rate pump
DROP_MAX_MS = const(250)
DROP_EARLY_MS = const(60)  # a healthy board drops between these two
DROP_LATE_MS = const(220)
ARM_MAX_MS = const(200)  # first edge to a rail in its window

# Rails
RAIL_NOMINAL_MV = const(2960)
RAIL_LIVE_MV = const(300)  # above this a microphone may be powered
RAIL_GOOD_MV = const(2600)  # below this while it should be live: sagging
GUARDED_GOOD_MV = const(2600)  # the same of the guarded rail
RAIL_CLAMP_MV = const(220)  # a closed rail above this with SCK and WS high has lost a clamp

# Mute switch: the coil supply behind it, and the red light's node, which is high only when coils and rails are dead
SENSE_HIGH_MV = const(3000)  # a throw of the mute switch is made
SENSE_LOW_MV = const(1000)
SENSE_DEBOUNCE_MS = const(30)  # bounce up to 5 ms, then 15 ms while both filters settle past their thresholds
MUTE_MAX_MS = const(20)  # from the lever's first move to both rails under RAIL_LIVE_MV
