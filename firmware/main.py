# SPDX-License-Identifier: MIT
# earlid: start the firmware that /active names, or the one in /lid; without either, or in maintenance, the REPL stays
# open and the lid closed.
import gc
import sys

import micropython

micropython.kbd_intr(-1)  # the relays rest: a start that hangs here has the lid closed
_model = "/model.bin"
try:
    with open("/active") as _file:
        _tree, _model = _file.read().split()
    sys.path.insert(0, _tree)
except (OSError, ValueError):
    pass
if gc.mem_free() < 150000:
    print(
        "earlid: only %d bytes of memory are free; an ESP32 with the image that `earlid flash` writes has 160,000" % gc.mem_free()
    )
try:
    from lid.gate import weights

    if _model != "-":
        weights.preload(_model)  # before the code, which would leave no block large enough
except (ImportError, SyntaxError, ValueError, MemoryError):
    weights = None  # type: ignore[assignment]  # a version that reads them later
for _word in (True, False):
    try:
        import lid.start

        lid.start.run(_model)
        break
    except MemoryError as _error:  # before the loop: once more without the word, the button still opens
        _reason = _error.args[0] if _error.args else 0
        print("earlid: no memory left to start with the word (%s)" % _reason)
        if weights and _word:
            weights.drop(_reason)
        else:
            break
    except Exception as _error:
        _text = "earlid: this MicroPython does not start the firmware (%s: %s); the lid stays closed. Flash the board again."
        print(_text % (type(_error).__name__, _error))
        break
