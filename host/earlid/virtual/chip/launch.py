# SPDX-License-Identifier: MIT
# The script that MicroPython is started with. Its names become the names of boot.py, main.py and the REPL.
import start

start.start(globals())
