# SPDX-License-Identifier: MIT
# Runs on MicroPython: the loop's real objects over a board of nothing; prints every path of attributes that comes back to
# where it began.
from lid import config
from lid.app import App
from lid.journal import NoJournal


class Board:
    guarded_on = sentinel_on = False

    def random_bytes(self, count):
        return bytes(count)


def walk(thing, path, above, done):
    if any(thing is other for other in above):
        print("cycle", path)
        return
    if not hasattr(thing, "__dict__") or isinstance(thing, type) or any(thing is other for other in done):
        return
    done.append(thing)
    above.append(thing)
    for name, value in thing.__dict__.items():
        walk(value, path + "." + name, above, done)
    above.pop()


app = App(Board(), NoJournal("0" * 16, bytes), config.defaults(), None)
done = []
walk(app, "app", [], done)
print("objects", len(done), "by", sorted({type(thing).__name__ for thing in done}))
