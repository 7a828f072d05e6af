# SPDX-License-Identifier: MIT
# Requests of the host. Closing and reading are free. What tightens, frees records or sets the clock is signed by a paired
# host; what loosens, or gives out the key, waits for a person's gesture.
import binascii

from lid import authority, config, files, health, record, selftest, signing
from lid.portable import const

VERBS = (
    "hello", "sync", "ack", "clock", "close", "telemetry", "selftest", "config-get", "config-set", "config-rollback", "pair",
    "probe", "cancel",
)  # fmt: skip
_SYNC_MAX = const(64)
_WALL_MIN = const(1577836800)  # 2020, in seconds: no clock is set before Earlid was,
_WALL_MAX = const(4102444800)  # nor after 2100
_TOLD_MS = const(1000)  # a clock that is further from the last recorded one is recorded
_REMEMBERED_HOPS = const(1000)  # a reply is repeated so long: the last may hold the key
_REPLY_BYTES = const(1024)  # with less room a reply would be dropped: nothing but closing is worth the work
_RECORDS = const(12)  # of a host, and one more
_RECORD_HOPS = const(30000)  # every 5 minutes
_TESTS = const(4)  # which stop the sentinel, and one more
_TEST_HOPS = const(6000)  # every minute

_SIGNED = const(1)
_CONSENTED = const(2)


class Refused(Exception):
    # args: err, say, and of busy the hops to wait
    pass


class Requests:
    # parts: lid.messages.Recorder, and what it knows; settings: those in force, as lid.config checks them; changed here in place
    def __init__(self, parts, status, settings):
        self._parts = parts
        self._status = status
        self._settings = settings
        self.telemetry_hops = settings["telemetry_ms"] // health.HOP_MS
        self.consent = authority.Consent()
        self._new_nonce()
        self._right = 0  # of the request in hand: _SIGNED, _CONSENTED or neither
        self._last = None  # the newest request and its reply
        self._last_at = 0
        self._sync = None  # (id, next, last) of a sync in progress
        self._records = authority.Bucket(_RECORDS, _RECORD_HOPS)
        self._signed_records = authority.Bucket(_RECORDS, _RECORD_HOPS)  # of its own: nobody else can use it up
        self._tests = authority.Bucket(_TESTS, _TEST_HOPS)
        self._held_back = 0  # records that found no room,
        self._held_back_at = 0  # since
        self._wall_told = 0  # wall clock less uptime, as last recorded

    def _new_nonce(self):
        self._nonce = binascii.hexlify(self._parts.board.random_bytes(8)).decode()
        return self._nonce

    def poll(self):
        """Once a hop: answer what came, see to what waits for consent, and go on with a sync."""
        parts = self._parts
        now = parts.clock.hops()
        if self._last and now - self._last_at >= _REMEMBERED_HOPS:
            self._last = None
        mute = parts.mute
        verdict = self.consent.step(now, mute.muted and not mute.disagree, parts.talk.presence())
        if verdict == authority.GRANTED:
            self._answer(self.consent.take(), _CONSENTED)
        elif verdict:
            self._right = 0
            self._refuse_waiting("nobody consented in time", True)
        if self._held_back and not self._must_make_room() and not self._records.take(now):
            count = self._held_back
            self._held_back = 0
            parts.append("limited", "", count, (now - self._held_back_at) * health.HOP_MS)
        received = parts.link.receive()
        if received:
            for body in received:
                self._handle(body, now)
        if self._sync:
            self._send_next(*self._sync)

    def _handle(self, body, now):
        link = self._parts.link
        verb = body["do"]
        if body == self.consent.request:
            reply = {"re": body["id"], "ok": True, "wait": self.consent.wait(now)}
            if "mac" in body:
                reply["nonce"] = self._nonce
            link.send(reply)
        elif self._last and body == self._last[0] and verb != "sync" and verb != "close":
            link.send(self._last[1])
        elif verb == "close" or link.free_bytes() >= _REPLY_BYTES:
            self._answer(body, 0)
        else:
            link.dropped += 1

    def _answer(self, body, right):
        self._right = right
        verb = body["do"]
        reply = {"re": body["id"], "ok": True}
        try:
            if verb not in VERBS:
                raise Refused("unknown", "this board knows: " + " ".join(VERBS))
            if "mac" in body and not right and verb != "sync":
                if body["mac"] != signing.request_mac(self._parts.journal.key, self._nonce, signing.canonical(body)):
                    raise Refused("mac", "not signed with this board's key and newest nonce")
                self._right = _SIGNED
                reply["nonce"] = self._new_nonce()
            values = _HANDLERS[VERBS.index(verb)](self, body)
            if values is None:
                return  # a sync: its reply follows the records
            reply.update(values)
        except ValueError as error:  # what lid.config and lid.signing refuse
            reply.update({"ok": False, "err": "argument", "say": str(error)})
        except Refused as refused:
            reply.update({"ok": False, "err": refused.args[0], "say": refused.args[1]})
            if len(refused.args) > 2:
                reply["ms"] = refused.args[2] * health.HOP_MS
        self._reply(body, reply)

    def _reply(self, body, reply):
        self._last = (body, reply)
        self._last_at = self._parts.clock.hops()
        self._parts.link.send(reply)

    # --- consent -------------------------------------------------------------------------------------------------

    def _announce(self, body):
        digest = signing.digest(signing.canonical(body))
        consent = self.consent
        self._refuse_waiting("another request took its place", True)
        now = self._parts.clock.hops()
        consent.announce(body, digest, now)
        self._parts.link.send({"ask": consent.ask(now)})
        return {"wait": consent.wait(now)}

    def _refuse_waiting(self, say, recorded):
        body = self.consent.take()
        if not body:
            return
        if recorded and not self._hops_to_record():
            self._parts.append("config", "refused", VERBS.index(body["do"]), config.digest(self._settings))
        self._reply(body, {"re": body["id"], "ok": False, "err": "consent", "say": say})

    def _cancel(self, body):
        waiting = self.consent.request
        if waiting and waiting.get("client") == body.get("client"):
            self._refuse_waiting("withdrawn", False)
        return {}

    # --- how much a host may have written ------------------------------------------------------------------------

    def _must_make_room(self):
        # The last slots are for what the board itself has to say.
        journal = self._parts.journal
        return journal.needs_room() and journal.nearly_full()

    def _hops_to_record(self):
        """0 when a host's record may be written now; else it is counted, and the hops until one may."""
        now = self._parts.clock.hops()
        if self._must_make_room():
            hops = _TEST_HOPS
        else:
            hops = (self._signed_records if self._right else self._records).take(now)
        if hops:
            if not self._held_back:
                self._held_back_at = now
            self._held_back += 1
        return hops

    def _must_be_closed(self):
        if self._parts.policy.state != "closed":
            raise Refused("state", "the lid must be closed and not muted")
        _not_busy(_TEST_HOPS if self._must_make_room() else self._tests.take(self._parts.clock.hops()))

    # --- the requests --------------------------------------------------------------------------------------------

    def hello(self, body):
        hello = self._status.hello()
        hello["nonce"] = self._nonce
        if self.consent.request:
            hello["ask"] = self.consent.ask(self._parts.clock.hops())
        return {"hi": {name: hello[name] for name in _BRIEF} if body.get("brief") else hello}

    def _start_sync(self, body):
        first = _integer(body, "from", 0, 0xFFFFFFFF)
        count = _integer(body, "max", 1, _SYNC_MAX)
        journal = self._parts.journal
        first = max(first, journal.oldest)
        self._sync = (body["id"], first, min(first + count - 1, journal.seq))
        return None

    def _send_next(self, request_id, seq, last):
        # One record a hop, and only into a queue that is nearly empty: live lines keep their place.
        link, journal = self._parts.link, self._parts.journal
        if link.free_bytes() < 3072:
            return
        if seq <= last:
            slot = journal.find(seq)
            if slot is not None:
                link.send({"rec": record.slot_to_wire(slot)})
            self._sync = (request_id, seq + 1, last)
            return
        self._sync = None
        link.send({
            "re": request_id, "ok": True, "next": seq, "seq": journal.seq, "oldest": journal.oldest,
            "link": binascii.hexlify(journal.link).decode(),
        })  # fmt: skip

    def _ack(self, body):
        seq = _integer(body, "seq", 0, 0xFFFFFFFF)
        journal = self._parts.journal
        if not journal.holds(seq, body.get("link")):
            raise Refused("argument", "record %d has another link here" % seq)
        if self._right:
            journal.acknowledge(seq)
        return {"acked": journal.acked}

    def _set_clock(self, body):
        wall_ms = _integer(body, "wall_ms", _WALL_MIN * 1000, _WALL_MAX * 1000)
        uncertainty_ms = _integer(body, "unc_ms", 0, 65535)
        clock = self._parts.clock
        step_ms = clock.step_to(wall_ms)
        if clock.vouched and not self._right:
            return {"step_ms": step_ms}  # a hint where none is needed
        # Against the last recorded one, not the last: no row of small steps goes unrecorded.
        offset_ms = wall_ms - clock.ms()
        told = self._right == clock.vouched and abs(offset_ms - self._wall_told) <= _TOLD_MS
        if not told:
            _not_busy(self._hops_to_record())
            self._wall_told = offset_ms
        clock.set_wall(wall_ms, uncertainty_ms, self._right)
        if not told:
            step = max(-0x7FFFFFFF, min(0x7FFFFFFF, step_ms))
            self._parts.append("clock", "set" if self._right else "hint", step, 0)
        return {"step_ms": step_ms}

    def _close(self, body):
        self._parts.policy.request_close()
        return {"state": self._parts.policy.state}

    def _telemetry(self, body):
        every = _integer(body, "every_ms", 0, 60000)
        if 0 < every < 30:
            raise Refused("argument", "every_ms must be 0, or from 30 to 60000")
        self.telemetry_hops = every // health.HOP_MS
        return {}

    def _selftest(self, body):
        parts = self._parts
        self._must_be_closed()
        _not_busy(self._hops_to_record())
        bits, drop_ms = selftest.run_and_record(parts.board, parts.hearing, parts.policy, parts)
        parts.clock.tick()
        return {"bits": bits, "drop_ms": drop_ms}

    def _config_get(self, body):
        previous = files.load_previous_config()
        return {
            "config": self._settings, "digest": "%08x" % config.digest(self._settings),
            "previous": "%08x" % config.digest(previous) if previous else "",
        }  # fmt: skip

    def _config_set(self, body):
        changes = body.get("config")
        if type(changes) is not dict:
            raise Refused("argument", "config must be an object of settings")
        complete = dict(self._settings)
        complete.update(changes)
        complete = config.check(complete)
        may_be_signed = self._right == _SIGNED and not config.loosens(self._settings, complete)
        return self._change(body, complete, "changed", may_be_signed)

    def _config_rollback(self, body):
        previous = files.load_previous_config()
        if not previous:
            raise Refused("state", "there is no earlier configuration")
        return self._change(body, previous, "rolled-back", False)

    def _change(self, body, complete, reason, may_be_signed):
        before, after = config.digest(self._settings), config.digest(complete)
        if before == after:
            return {"digest": "%08x" % after}
        parts = self._parts
        if may_be_signed:
            if parts.policy.state == "open":
                raise Refused("state", "the lid is open: close it first")
            _not_busy(self._hops_to_record())
        elif self._right != _CONSENTED:
            return self._announce(body)
        try:
            # Durable first, as with an opening: nothing is loosened without a record.
            if not parts.append("config", reason, before, after):
                raise OSError(5)
            try:
                files.save_config(self._settings, complete, parts.board.feed)
            except OSError:
                parts.append("config", "rolled-back", after, before)
                raise
        except OSError:
            raise Refused("flash", "the configuration could not be written; the old one holds")
        self._settings.update(complete)
        parts.hearing.configure(complete)
        parts.policy.configure(complete, parts.hearing.cutoff_q8())
        return {"digest": "%08x" % after}

    def _pair(self, body):
        if self._right != _CONSENTED:
            return self._announce(body)
        digest = config.digest(self._settings)
        if not self._parts.append("config", "paired", digest, digest):
            raise Refused("flash", "the record of it could not be written, so the key stays here")
        journal = self._parts.journal
        return {"key": binascii.hexlify(journal.key).decode(), "epoch": journal.epoch, "seq": journal.sealed_from}

    def _probe(self, body):
        from lid import mic_probe  # rarely asked for: its code takes no memory until then

        parts = self._parts
        length_ms = _integer(body, "ms", mic_probe.SHORTEST_MS, mic_probe.LONGEST_MS)
        self._must_be_closed()
        result = mic_probe.run(parts.board, parts.hearing, length_ms)
        parts.clock.tick()
        if result is None:
            raise Refused("state", "the talk button or the mute switch was used meanwhile, or no samples came; ask again")
        return result


_BRIEF = ("board", "boot", "ms", "seq", "oldest", "link", "nonce", "epoch")  # a short line, for a bad one
_HANDLERS = (  # in the order of VERBS
    Requests.hello,
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


def _not_busy(hops):
    if hops:
        raise Refused("busy", "asked too often; again in %d s" % (hops // 100 + 1), hops)
