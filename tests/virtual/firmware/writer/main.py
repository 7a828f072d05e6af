# SPDX-License-Identifier: MIT
# Writes numbered lines to a file for ever, flushing each; says which one is durable only when it is.
import time

try:
    with open("count.txt") as file:
        lines = file.read().split()
except OSError:
    lines = []
print("found", len(lines), lines[-1] if lines else "-1")
start = int(lines[-1]) + 1 if lines else 0
for number in range(start, start + 1000):
    with open("count.txt", "a") as file:
        file.write(f"{number}\n")
    print("durable", number)
    if number % 40 == 39:
        with open("count.new", "w") as file:
            file.write(f"{number}\n")
        import os

        os.rename("count.new", "count.txt")
    time.sleep_ms(5)
