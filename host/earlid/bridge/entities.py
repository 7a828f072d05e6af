# SPDX-License-Identifier: MIT
"""Topics and payloads of a bridge, and Home Assistant's discovery of them. No input or output."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from earlid.ledger.queries import Entry
from earlid.ledger.time_format import iso_text

ONLINE, OFFLINE = "online", "offline"
CLOSE = "close"  # the one command
EVENTS = ("open", "close", "live", "dead", "fault")  # of the ledger's, those that are told
LIDS = ("open", "closed", "muted", "fault", "unknown")


class Entity(NamedTuple):
    """An entity: `key` is its field in the state; `needs_board`: it says nothing of a board that nobody hears of."""

    component: str
    key: str
    name: str
    needs_board: bool
    options: Mapping[str, Any]


def _sensor(key: str, name: str, needs_board: bool = False, **options: Any) -> Entity:
    return Entity("sensor", key, name, needs_board, options)


ENTITIES = (
    _sensor("lid", "Lid", True, device_class="enum", options=list(LIDS), icon="mdi:microphone-settings"),
    # `power`, not `sound`: what is known is that the guarded microphone is fed, not that anything was heard.
    Entity("binary_sensor", "rail_live", "Guarded rail live", True, {"device_class": "power"}),
    Entity("binary_sensor", "mute", "Mute switch", True, {"icon": "mdi:microphone-off"}),
    _sensor("live_today_s", "Live today", device_class="duration", unit_of_measurement="s", state_class="measurement"),
    _sensor("openings_today", "Openings today", state_class="measurement", icon="mdi:counter"),
    _sensor("last_opening_reason", "Last opening reason", icon="mdi:account-voice"),
    _sensor("last_opening_score", "Last opening score", state_class="measurement", icon="mdi:gauge"),
    _sensor("false_openings", "False openings labelled", state_class="measurement", icon="mdi:thumb-down-outline"),
    _sensor("fault", "Fault", icon="mdi:alert-circle-outline"),
    _sensor("chain", "Chain verdict", entity_category="diagnostic", icon="mdi:link-lock"),
    _sensor("firmware", "Firmware", entity_category="diagnostic", icon="mdi:chip"),
    _sensor("signal_at", "Signal age", entity_category="diagnostic", device_class="timestamp"),
)


class Topics(NamedTuple):
    """Names of topics below `base`, and below `prefix`, where Home Assistant looks."""

    base: str
    prefix: str = "homeassistant"

    @property
    def status(self) -> str:
        """Whether the bridge runs; its last will."""
        return f"{self.base}/status"

    @property
    def safe(self) -> str:
        """The command topic."""
        return f"{self.base}/safe"

    @property
    def result(self) -> str:
        """What a command did."""
        return f"{self.base}/safe/result"

    def of(self, board: str, what: str) -> str:
        """`state`, `status` or `event` of a board."""
        return f"{self.base}/{board}/{what}"

    def others_of(self, board: str) -> list[str]:
        """Where others may write what seems to be of this board, outside `base`."""
        return [f"{self.prefix}/+/{_node(board)}/#"]

    def is_close(self, topic: str, payload: bytes, *, retained: bool) -> bool:
        """Whether a message is the one command: a retained one is of somebody who wished it then, not now."""
        return topic == self.safe and payload == CLOSE.encode() and not retained


def _node(board: str) -> str:
    return f"earlid_{board}"


def discovery(topics: Topics, board: str, name: str | None, firmware: str, *, device_based: bool = False) -> dict[str, str]:
    """Topic -> payload with which Home Assistant makes a board's device and entities.

    Args:
        board: the identifier.
        name: what the ledger calls it; None for nothing.
        firmware: its version; empty when it is not known.
        device_based: one payload for the device, which Home Assistant understands from 2024.11 on; else one an entity.
    """
    device: dict[str, Any] = {"identifiers": [_node(board)], "name": name or f"Earlid {board[:8]}",
                              "manufacturer": "Earlid", "model": "Earlid board"}  # fmt: skip
    if firmware:
        device["sw_version"] = firmware
    origin = {"name": "earlid"}
    node = _node(board)
    components = {entity.key: (entity.component, _config(topics, board, entity)) for entity in ENTITIES}
    components["event"] = ("event", _event_config(topics, board))
    if device_based:
        parts = {key: {"platform": component} | config for key, (component, config) in components.items()}
        body = {"device": device, "origin": origin, "components": parts}
        return {f"{topics.prefix}/device/{node}/config": _json(body)}
    return {
        f"{topics.prefix}/{component}/{node}/{key}/config": _json(config | {"device": device, "origin": origin})
        for key, (component, config) in components.items()
    }


def _config(topics: Topics, board: str, entity: Entity) -> dict[str, Any]:
    value = f"value_json.{entity.key}"
    template = f"{{{{ {value} }}}}"
    if entity.component == "binary_sensor":
        template = f"{{{{ 'None' if {value} is none else 'ON' if {value} else 'OFF' }}}}"
    config = {"name": entity.name, "unique_id": f"{_node(board)}_{entity.key}", "state_topic": topics.of(board, "state"),
              "value_template": template,
              **_availability(topics, board if entity.needs_board else None), **entity.options}  # fmt: skip
    if entity.key == "live_today_s":
        config["json_attributes_topic"] = topics.of(board, "state")
        config["json_attributes_template"] = (
            "{{ {'least_s': value_json.live_today_least_s, 'most_s': value_json.live_today_s} | tojson }}"
        )
    return config


def _event_config(topics: Topics, board: str) -> dict[str, Any]:
    return {"name": "Event", "unique_id": f"{_node(board)}_event", "state_topic": topics.of(board, "event"),
            "event_types": list(EVENTS), "qos": 1, **_availability(topics, None)}  # fmt: skip


def _availability(topics: Topics, board: str | None) -> dict[str, Any]:
    places = [topics.status] + ([topics.of(board, "status")] if board else [])
    return {"availability": [{"topic": topic} for topic in places], "availability_mode": "all"}


def event_payload(entry: Entry, name: str | None) -> str:
    """An event; (`board`, `boot`, `seq`) is its identity: who sees it again has it already."""
    body: dict[str, Any] = {
        "event_type": entry.event, "reason": entry.reason, "board": entry.board, "name": name,
        "boot": entry.boot, "seq": entry.seq,
        "at": iso_text(entry.wall_ms), "uncertainty_ms": entry.unc_ms,
    }  # fmt: skip
    if entry.event == "open":
        body |= {"score": entry.score, "cutoff": entry.b}
    return _json(body)


def _json(body: Mapping[str, Any]) -> str:
    return json.dumps(body, separators=(",", ":"), sort_keys=True)


def state_payload(state: Mapping[str, Any], *, heard: bool) -> str:
    """A board's state, as `state` has it; of one that nobody hears of, nothing is known of lid, rail and switch."""
    return _json(state if heard else {**state, "lid": "unknown", "rail_live": None, "mute": None})
