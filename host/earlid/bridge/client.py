# SPDX-License-Identifier: MIT
"""An MQTT 5 client that begins again by itself; says which messages the broker has confirmed. Knows no board."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from earlid.bridge.credentials import Broker
from earlid.bridge.trouble import refusal_text, trouble_text

KEEPALIVE_S = 30
ANSWER_S = 15.0  # for whatever a broker is to answer; then the connection is begun anew
PACKET_MAX = 64 * 1024  # what comes in is a word at most
RETRY_S = (1, 30)
_QUICK_ACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # of Linux

OnMessage = Callable[[str, bytes, bool], None]
"""Called with topic, payload, and whether it is a retained message from before; in the client's thread."""


class _Paho(paho.Client):
    """Paho's client, which tells why it cannot connect."""

    trouble: Exception | str = ""

    def reconnect(self) -> MQTTErrorCode:
        try:
            return super().reconnect()
        except OSError as error:
            self.trouble = error
            raise


class Client:
    """A connection to a broker.

    Args:
        broker: where it is.
        name: the client's; a second one of that name ends the first.
        will: topic and payload, retained, that the broker tells when this program is gone.
        subscriptions: topics of which others' messages are told.
        on_message: what takes them.
        on_change: called when the connection comes or goes.
        say: called with lines for people.
    """

    def __init__(
        self,
        broker: Broker,
        name: str,
        will: tuple[str, str],
        subscriptions: Callable[[], Sequence[str]],
        on_message: OnMessage,
        on_change: Callable[[], None],
        say: Callable[[str], None],
        *,
        tls: ssl.SSLContext | None = None,
        credentials: tuple[str, str] | None = None,
        answer_s: float = ANSWER_S,
    ) -> None:
        self._broker, self._subscriptions, self._on_message, self._on_change = broker, subscriptions, on_message, on_change
        self._say, self._answer_s = say, answer_s
        self._said = ""
        self._stopped = self._refused = False
        self._lock = threading.Condition()
        self._confirmed: dict[int, bool] = {}
        self.session = 0  # counts connections; 0 before the first
        self.connected = False
        self._asked: tuple[int | None, float, list[str]] = (None, 0.0, [])  # of subscriptions: number, since when, topics
        client = _Paho(CallbackAPIVersion.VERSION2, client_id=name, protocol=paho.MQTTv5)
        client.will_set(*will, qos=1, retain=True)
        client.connect_timeout = answer_s
        client.reconnect_delay_set(*RETRY_S)
        client.max_queued_messages_set(0)
        if tls:
            client.tls_set_context(tls)
        if credentials:
            client.username_pw_set(*credentials)
        client.on_connect, client.on_disconnect = self._came, self._went
        client.on_connect_fail, client.on_subscribe, client.on_log = self._failed, self._subscribed, self._logged
        client.on_publish, client.on_message = self._published, self._message
        client.on_socket_open = self._opened
        self._client = client

    def start(self) -> None:
        """Begin; from then on the connection is kept up in a thread."""
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.MaximumPacketSize = PACKET_MAX
        self._client.connect_async(
            self._broker.host, self._broker.port, keepalive=max(1, min(KEEPALIVE_S, int(self._answer_s))),
            clean_start=True, properties=properties,
        )  # fmt: skip
        self._client.loop_start()

    @property
    def is_running(self) -> bool:
        """Whether the thread that keeps it up lives."""
        thread: threading.Thread | None = self._client._thread
        return thread is not None and thread.is_alive()

    def stop(self) -> None:
        """End the connection; the will is not told."""
        self._stopped = True
        self._client.disconnect()
        thread = threading.Thread(target=self._client.loop_stop, daemon=True)  # it may wait for a broker that says nothing
        thread.start()
        thread.join(2.0)

    def publish(self, topic: str, payload: str, *, retain: bool) -> int | None:
        """Hand a message of QoS 1 over; its number, None when there is no connection."""
        if not self.connected:
            return None
        info = self._client.publish(topic, payload, qos=1, retain=retain)  # not under our lock: its callbacks take that
        return info.mid if info.rc == paho.MQTT_ERR_SUCCESS else None

    def subscribe(self) -> None:
        """Ask for others' messages on the subscriptions, as they are now."""
        topics = list(self._subscriptions())
        options = SubscribeOptions(qos=1, noLocal=True)
        with self._lock:  # before the answer can come
            _, number = self._client.subscribe([(topic, options) for topic in topics])
            self._asked = (number, time.monotonic(), topics)

    def is_answering(self) -> bool:
        """Whether there is a connection. One on which no subscription is confirmed in time is begun anew."""
        with self._lock:
            number, since_s, _ = self._asked
            if self.connected and number is not None and time.monotonic() - since_s > self._answer_s:
                self._tell(f"{self._broker.host} confirms no subscription: connecting anew")
                self._drop()
            return self.connected

    def wait(self, numbers: Sequence[int], session: int, meanwhile: Callable[[], object]) -> list[bool | None]:
        """What the broker says to each message: True it has it, False it refuses it, None nothing in time.

        Where it confirms nothing for so long the connection is begun anew; `meanwhile` is called now and then.
        """
        with self._lock:
            open_before, end_s = len(numbers), time.monotonic() + self._answer_s
            while self.connected and self.session == session:
                still_open = sum(number not in self._confirmed for number in numbers)
                if still_open == 0:
                    break
                if still_open < open_before:
                    open_before, end_s = still_open, time.monotonic() + self._answer_s
                left_s = end_s - time.monotonic()
                if left_s <= 0:
                    self._tell(f"{self._broker.host} confirms nothing: connecting anew")
                    self._drop()
                    break
                self._lock.wait(min(left_s, 0.5))
                meanwhile()
            return [self._confirmed.pop(number, None) for number in numbers] if self.session == session else [None] * len(numbers)

    def _drop(self) -> None:
        self.connected = False
        sock: Any = self._client.socket()
        if sock is not None:
            try:
                sock.shutdown(2)
            except OSError:
                pass

    def _opened(self, _client: paho.Client, _data: Any, sock: Any) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _came(self, client: paho.Client, _data: Any, _flags: Any, code: Any, _properties: Any) -> None:
        if code.is_failure:
            self._refused = True
            self._tell(refusal_text(str(code), self._broker))
            return
        self._tell(f"connected to {self._broker.host}")
        with self._lock:
            self.connected = True
            self.session += 1
            self._confirmed.clear()
        self.subscribe()
        self._on_change()

    def _went(self, _client: paho.Client, _data: Any, _flags: Any, code: Any, _properties: Any) -> None:
        trouble, self._client.trouble = self._client.trouble, ""
        with self._lock:
            was, self.connected = self.connected, False
            # What it holds would be sent again by itself, and by the outbox: the outbox alone does that.
            self._client._out_messages.clear()
            self._client._inflight_messages = 0
            self._lock.notify_all()
        if self._stopped:
            return
        if was:
            self._tell(f"the connection to {self._broker.host} is lost: {code}")
        elif not self._refused:
            self._tell(trouble_text(trouble or TimeoutError(), self._broker))
        self._refused = False
        self._on_change()

    def _failed(self, _client: paho.Client, _data: Any) -> None:
        trouble, self._client.trouble = self._client.trouble, ""
        self._tell(trouble_text(trouble, self._broker))

    def _logged(self, _client: Any, _data: Any, level: int, text: str) -> None:
        if level == paho.MQTT_LOG_ERR:  # what TLS complains of behind the handshake comes in no other way
            self._client.trouble = text

    def _subscribed(self, _client: Any, _data: Any, number: int, codes: Sequence[Any], _properties: Any) -> None:
        with self._lock:
            asked, _, topics = self._asked
            if asked == number:
                self._asked = (None, 0.0, [])
        for topic, code in zip(topics if asked == number else [], codes, strict=False):
            if code.is_failure:
                self._say(f"the broker does not let this user read {topic}: {code}")

    def _published(self, _client: Any, _data: Any, number: int, code: Any, _properties: Any) -> None:
        with self._lock:
            self._confirmed[number] = not code.is_failure
            self._lock.notify_all()
        sock: Any = self._client.socket()
        if _QUICK_ACK is not None and sock is not None:  # else the broker keeps its next confirmations back for 40 ms
            sock.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)

    def _message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        self._on_message(message.topic, bytes(message.payload), message.retain)

    def _tell(self, text: str) -> None:
        if text != self._said:
            self._said = text
            self._say(text)
