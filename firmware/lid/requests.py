# SPDX-License-Identifier: MIT
# Requests of the host. Closing and reading are free; whatever loosens needs the talk button, and is journaled, refused or not.
import binascii

from micropython import const

from lid import config, files, health, record, selftest

VERBS = (
    "hello", "sync", "ack", "clock", "close", "telemetry", "selftest", "config-get", "config-set", "config-rollback", "pair",
    "probe", "cancel",
)  # fmt: skip
_SYNC_MAX = const(64)
_REFUSED_EVERY_MS = const(10000)  # a host that keeps asking must not fill the journal
_WALL_MIN = const(1577836800)  # 2020, in seconds: no clock is set before Earlid was
_HOLD_BUTTON = "hold the talk button on the board and ask again"


class Refused(Exception):
    # args: (err, say)
    pass


class Requests:
    # settings: those in force, as lid.config checks them; changed here in place
    def __init__(self, board, journal, link, clock, policy, hearing, talk, recorder, status, settings):
        self._board = board
        self._journal = journal
        self._link = link
        self._clock = clock
        self._policy = policy
        self._hearing = hearing
        self._talk = talk
        self._recorder = recorder
        self._status = status
        self._settings = settings
        self.telemetry_hops = settings["telemetry_ms"] // health.HOP_MS
        self._last_id = -1
        self._last_reply = None
        self._sync = None  # (id, next, last) of a sync in progress
        self._refused_at = -_REFUSED_EVERY_MS
        self._key_given = False
        self._deferred = None  # a request that waits for the lid to close

    def poll(self):
        """Once a hop: answer what came, and go on with a sync."""
        if not self._talk.presence():
            self._key_given = False
        deferred = self._deferred
        if deferred and self._policy.state != "open":
            self._deferred = None
            self._handle(*deferred)
        received = self._link.receive()
        if received:
            for request_id, verb, body in received:
                self._handle(request_id, verb, body)
        if self._sync:
            self._send_next(*self._sync)

    def _handle(self, request_id, verb, body):
        if request_id == self._last_id and self._last_reply and verb != "sync":
            self._link.send(self._last_reply)
            return
        if verb in _CLOSED_ONLY and self._policy.state == "open":
            # The button that proves presence has also opened the lid; files are written while it is closed.
            self._policy.request_close()
            self._deferred = (request_id, verb, body)
            return
        reply = {"re": request_id, "ok": True}
        try:
            if verb not in VERBS:
                raise Refused("unknown", "this board knows: " + " ".join(VERBS))
            values = _HANDLERS[VERBS.index(verb)](self, body, request_id)
            if values is None:
                return  # a sync: its reply follows the records
            reply.update(values)
        except Refused as refused:
            reply = {"re": request_id, "ok": False, "err": refused.args[0], "say": refused.args[1]}
        self._last_id = request_id
        self._last_reply = reply
        self._link.send(reply)

    def _require_presence(self, verb):
        if self._talk.presence():
            return
        now = self._clock.ms()
        if now - self._refused_at >= _REFUSED_EVERY_MS:
            self._refused_at = now
            self._recorder.append("config", "refused", VERBS.index(verb), config.digest(self._settings))
        raise Refused("presence", _HOLD_BUTTON)

    def _hello(self, body, request_id):
        hello = self._status.hello()
        return {"hi": {name: hello[name] for name in _BRIEF} if body.get("brief") else hello}

    def _start_sync(self, body, request_id):
        first = _integer(body, "from", 0, 0xFFFFFFFF)
        count = _integer(body, "max", 1, _SYNC_MAX)
        journal = self._journal
        first = max(first, journal.oldest)
        self._sync = (request_id, first, min(first + count - 1, journal.seq))
        return None

    def _send_next(self, request_id, seq, last):
        # One record a hop, and only into a queue that is nearly empty: live lines keep their place.
        if self._link.free_bytes() < 3072:
            return
        journal = self._journal
        if seq <= last:
            slot = journal.find(seq)
            if slot is not None:
                self._link.send({"rec": record.slot_to_wire(slot)})
            self._sync = (request_id, seq + 1, last)
            return
        self._sync = None
        self._link.send({
            "re": request_id, "ok": True, "next": seq, "seq": journal.seq, "oldest": journal.oldest,
            "link": binascii.hexlify(journal.link).decode(),
        })  # fmt: skip

    def _ack(self, body, request_id):
        seq = _integer(body, "seq", 0, 0xFFFFFFFF)
        try:
            link = binascii.unhexlify(body.get("link"))
        except (ValueError, TypeError):
            raise Refused("argument", "link must be 24 hex digits")
        if not self._journal.acknowledge(seq, link):
            raise Refused("argument", "record %d has another link here" % seq)
        return {"acked": self._journal.acked}

    def _set_clock(self, body, request_id):
        wall_ms = _integer(body, "wall_ms", _WALL_MIN * 1000, 0xFFFFFFFFFFFF)
        first = not self._clock.wall()[0]
        step_ms = self._clock.set_wall(wall_ms, _integer(body, "unc_ms", 0, 65535))
        if first or abs(step_ms) > 1000:
            self._recorder.append("clock", "set", max(-0x7FFFFFFF, min(0x7FFFFFFF, step_ms)), 0)
        return {"step_ms": step_ms}

    def _close(self, body, request_id):
        self._policy.request_close()
        return {"state": self._policy.state}

    def _telemetry(self, body, request_id):
        every = _integer(body, "every_ms", 0, 60000)
        if 0 < every < 30:
            raise Refused("argument", "every_ms must be 0, or from 30 to 60000")
        self.telemetry_hops = every // health.HOP_MS
        return {}

    def _selftest(self, body, request_id):
        if self._policy.state != "closed":
            raise Refused("state", "the lid must be closed and not muted")
        bits, drop_ms = selftest.run_and_record(self._board, self._hearing, self._policy, self._recorder)
        self._clock.tick()
        return {"bits": bits, "drop_ms": drop_ms}

    def _config_get(self, body, request_id):
        previous = files.load_previous_config()
        return {
            "config": self._settings, "digest": "%08x" % config.digest(self._settings),
            "previous": "%08x" % config.digest(previous) if previous else "",
        }  # fmt: skip

    def _config_set(self, body, request_id):
        changes = body.get("config")
        if type(changes) is not dict:
            raise Refused("argument", "config must be an object of settings")
        complete = dict(self._settings)
        complete.update(changes)
        try:
            complete = config.check(complete)
        except ValueError as error:
            raise Refused("argument", str(error))
        return self._change(complete, "config-set", "changed")

    def _config_rollback(self, body, request_id):
        previous = files.load_previous_config()
        if not previous:
            raise Refused("state", "there is no earlier configuration")
        return self._change(previous, "config-rollback", "rolled-back")

    def _change(self, complete, verb, reason):
        if verb == "config-rollback" or config.loosens(self._settings, complete):
            self._require_presence(verb)
        before, after = config.digest(self._settings), config.digest(complete)
        try:
            # Durable first, as with an opening: nothing is loosened without a record.
            if not self._recorder.append("config", reason, before, after):
                raise OSError(5)
            try:
                files.save_config(self._settings, complete, self._board.feed)
            except OSError:
                self._recorder.append("config", "rolled-back", after, before)
                raise
        except OSError:
            raise Refused("flash", "the configuration could not be written; the old one holds")
        self._settings.update(complete)
        self._policy.configure(complete)
        self._hearing.configure(complete)
        return {"digest": "%08x" % after}

    def _pair(self, body, request_id):
        self._require_presence("pair")
        if self._key_given:
            raise Refused("state", "the key was given out during this press; release the button and press again")
        self._key_given = True
        digest = config.digest(self._settings)
        if not self._recorder.append("config", "paired", digest, digest):
            raise Refused("flash", "the record of it could not be written, so the key stays here")
        return {"key": binascii.hexlify(self._journal.key).decode()}

    def _probe(self, body, request_id):
        from lid import mic_probe  # rarely asked for: its code takes no memory until then

        length_ms = _integer(body, "ms", mic_probe.SHORTEST_MS, mic_probe.LONGEST_MS)
        if self._policy.state != "closed":
            raise Refused("state", "the lid must be closed and not muted")
        result = mic_probe.run(self._board, self._hearing, length_ms)
        self._clock.tick()
        if result is None:
            raise Refused("state", "the talk button or the mute switch was used meanwhile, or no samples came; ask again")
        return result

    def _cancel(self, body, request_id):
        return {}  # nothing waits


_BRIEF = ("board", "boot", "ms", "seq", "oldest", "link")  # a short line, for a bad one
_CLOSED_ONLY = ("config-set", "config-rollback", "pair", "selftest", "probe")
_HANDLERS = (  # in the order of VERBS
    Requests._hello,
    Requests._start_sync,
    Requests._ack,
    Requests._set_clock,
    Requests._close,
    Requests._telemetry,
    Requests._selftest,
    Requests._config_get,
    Requests._config_set,
    Requests._config_rollback,
    Requests._pair,
    Requests._probe,
    Requests._cancel,
)


def _integer(body, name, low, high):
    value = body.get(name)
    if type(value) is not int or not low <= value <= high:
        raise Refused("argument", "%s must be a whole number from %d to %d" % (name, low, high))
    return value
