# The copper's figures: which pin does what, and what a healthy circuit measures.
# Simulated, not yet measured on a bench. The firmware, the virtual board and the drawings share this one file.
from lid.portable import const

# Pins (ESP32 GPIO numbers)
SENTINEL_PUMP_PIN = const(18)
GUARDED_PUMP_PIN = const(19)
SENTINEL_RAIL_PIN = const(34)
GUARDED_RAIL_PIN = const(35)
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
GUARDED_SCALE_Q10 = const(2048)  # 100k / 100k
SENSE_SCALE_Q10 = const(1707)  # 100k / 150k

# Pump and relay
TOGGLE_MS = const(10)  # one edge a hop
TOLERATED_PAUSE_MS = const(40)
DROP_MAX_MS = const(250)
ARM_MAX_MS = const(120)  # first edge to a rail in its window

# Rails
RAIL_NOMINAL_MV = const(3300)
RAIL_LIVE_MV = const(300)  # above this a microphone may be powered
RAIL_GOOD_MV = const(2900)  # below this while it should be live: sagging
SENSE_HIGH_MV = const(3000)  # a throw of the mute switch is made
SENSE_LOW_MV = const(1000)
