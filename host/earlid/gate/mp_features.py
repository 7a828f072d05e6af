# SPDX-License-Identifier: MIT
# Runs on MicroPython: raw samples on standard input -> 40 features of 16 bits a hop on standard output.
# Arguments: numbers of the hops before which the frontend is reset.
import sys

from lid.gate.frontend import Frontend
from mp_hops import hops


def main():
    resets = [int(arg) for arg in sys.argv[1:]]
    frontend = Frontend()
    push = frontend.push
    features = frontend.features
    write = sys.stdout.buffer.write
    for number, hop in enumerate(hops()):
        if number in resets:
            frontend.reset()
        if push(hop):
            write(features)


try:
    main()
except Exception as error:
    sys.print_exception(error, sys.stderr)
    sys.exit(1)
