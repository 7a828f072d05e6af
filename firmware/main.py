# SPDX-License-Identifier: MIT
# earlid: start the firmware that /active names, or the one in /lid; without either, or in maintenance, the REPL stays
# open and the lid closed.
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
try:
    from lid.gate import weights

    if _model != "-":
        weights.preload(_model)  # before the code, which would leave no block large enough
except (ImportError, SyntaxError, ValueError, MemoryError):
    weights = None  # type: ignore[assignment]  # a version that reads them later
try:
    try:
        import lid.start
    except MemoryError:
        if weights is None:
            raise
        weights.drop()  # without the word: the button still opens
        import lid.start
except (ImportError, SyntaxError, ValueError, MemoryError) as _error:
    print("earlid: the firmware does not load (%s); the lid stays closed. Flash the board again." % _error)
else:
    lid.start.run(_model)
