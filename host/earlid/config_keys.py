# SPDX-License-Identifier: MIT
"""Configuration keys: what `config.toml` and the environment may say to Earlid on this computer, and of what kind it is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

T = TypeVar("T")
NUMBER_MAX = 86_400


class Kind(Generic[T]):
    """A kind of value. (No named tuple, as `Key`: every verb loads this, and making one takes half a millisecond.)

    Attributes:
        word: for people, as `path`.
        from_file: a value as TOML has it to one of this kind; raises ValueError with what it must be.
        from_text: the same of an environment variable's text.
    """

    def __init__(self, word: str, from_file: Callable[[Any], T], from_text: Callable[[str], T]) -> None:
        self.word, self.from_file, self.from_text = word, from_file, from_text


class Key(Generic[T]):
    """One thing that can be configured.

    Attributes:
        name: as in the file; `ports.allow` is `allow` in the table `[ports]`.
        kind: what its value is.
        help: half a sentence for people, with what holds when nothing is said.
        option: the option of verbs that goes before it; empty for none.
        also: further environment variables, after its own.
    """

    def __init__(self, name: str, kind: Kind[T], help: str, option: str = "", also: tuple[str, ...] = ()) -> None:
        self.name, self.kind, self.help, self.option, self.also = name, kind, help, option, also

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that go before the file, the first first: `EARLID_DATA_DIR` for `data_dir`."""
        return ("EARLID_" + self.name.upper().replace(".", "_"), *self.also)


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value or not value.isprintable():
        raise ValueError('must be a text, as "..."')
    return value


def _full_path(value: Any) -> Path:
    text = _text(value)
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        path = Path(text)
    if not path.is_absolute():
        raise ValueError("must be a full path, or begin with ~/")
    return path


def _place(value: Any) -> str:
    return _text(value) if "://" in _text(value) else str(_full_path(value))


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError('must be a list of texts, as ["...", "..."]')
    return tuple(_text(entry) for entry in value)


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= NUMBER_MAX:
        raise ValueError(f"must be a whole number from 1 to {NUMBER_MAX}")
    return value


def _number_of_text(text: str) -> int:
    return _number(int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else None)


def _hooks(value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise ValueError('must be a table of event = "command"')
    pairs = ((event, command) for event, found in value.items() for command in (found if isinstance(found, list) else [found]))
    try:
        return tuple((_text(event), _text(command)) for event, command in pairs)
    except ValueError:
        raise ValueError('must be a table of event = "command", or of event = ["command", "command"]') from None


def _hooks_of_text(text: str) -> tuple[tuple[str, str], ...]:
    lines = [line.partition("=") for line in text.splitlines() if line.strip()]
    if not all(equals for _, equals, _ in lines):
        raise ValueError("must be EVENT=COMMAND, one a line")
    return tuple((event.strip(), command.strip()) for event, _, command in lines)


TEXT = Kind("text", _text, _text)
PATH = Kind("path", _full_path, Path)
PLACE = Kind("path or URL", _place, _text)
TEXTS = Kind("list of texts", _texts, lambda text: tuple(part.strip() for part in text.split(",") if part.strip()))
NUMBER = Kind("whole number", _number, _number_of_text)
HOOK_TABLE = Kind("table of commands", _hooks, _hooks_of_text)

LEDGER = Key("ledger", PLACE, "the ledger: a file, or a URL of PostgreSQL (else `ledger.sqlite` in `data_dir`)", "--ledger")
DATA_DIR = Key("data_dir", PATH, "the folder of the default ledger and the pairing keys (else where the platform keeps data)")
CACHE = Key("cache", PATH, "the folder of what can be had again, as images (else where the platform keeps caches)")
RUNTIME = Key(
    "runtime", PATH, "the folder of the sockets between running `earlid` (else where the platform has it), the same for all"
)
PORT = Key("port", TEXT, "the board to talk to (else the only one there is)", "-p/--port", also=("ESPTOOL_PORT",))
HOOKS = Key("hooks", HOOK_TABLE, "`watch`: EVENT or EVENT:REASON = a command, or a list of commands", "--on")
HOOK_LIMIT_S = Key("hook_limit_s", NUMBER, "after how many seconds a hook is killed (else 10)")
HOOKS_AT_ONCE = Key("hooks_at_once", NUMBER, "how many hooks run side by side (else 4)")

PORTS_ALLOW = Key("ports.allow", TEXTS, "patterns of the only ports to use, whatever their chip (else all with a known one)")
PORTS_DENY = Key("ports.deny", TEXTS, "patterns of ports never to look at, unless one is named")
PORTS_UART = Key("ports.uart", TEXTS, "ports without USB that may be a board, as `/dev/serial0`")

MQTT_BROKER = Key("mqtt.broker", TEXT, "`bridge mqtt`: as `mqtts://HOST:8883` (else `mqtts://localhost`)", "--broker")
MQTT_CA = Key("mqtt.ca", PATH, "whose signature the broker must have (else the system's list)", "--ca")
MQTT_CERT = Key("mqtt.cert", PATH, "a client certificate", "--cert")
MQTT_KEY = Key("mqtt.key", PATH, "its key, readable by its owner alone", "--key")
MQTT_CREDENTIALS = Key("mqtt.credentials", PATH, "a file of two lines, user and password, mode 0600", "--credentials")
MQTT_BASE = Key("mqtt.base", TEXT, "topics begin with this (else `earlid`)", "--base")
MQTT_PREFIX = Key("mqtt.prefix", TEXT, "where Home Assistant looks (else `homeassistant`)", "--prefix")

ANCHOR_TSA = Key("anchor.tsa", TEXT, "`anchor`, `watch`: the address of a time stamp authority (else none)", "--tsa")
ANCHOR_TSA_CA = Key("anchor.tsa_ca", PATH, "whose signature time stamps must have, PEM (else the system's list)", "--tsa-ca")
ANCHOR_WITNESS = Key("anchor.witness", TEXTS, "`anchor`, `watch`: addresses of witnesses (else none)", "--witness")
ANCHOR_EVERY_H = Key("anchor.every_h", NUMBER, "`watch`: after how many hours it asks them anew (else 24)")
ANCHOR_TOO_OLD_DAYS = Key("anchor.too_old_days", NUMBER, "`verify`: after how many days the newest anchor is too old (else 7)")

KEYS: tuple[Key[Any], ...] = (
    LEDGER,
    DATA_DIR,
    CACHE,
    RUNTIME,
    PORT,
    HOOKS,
    HOOK_LIMIT_S,
    HOOKS_AT_ONCE,
    PORTS_ALLOW,
    PORTS_DENY,
    PORTS_UART,
    MQTT_BROKER,
    MQTT_CA,
    MQTT_CERT,
    MQTT_KEY,
    MQTT_CREDENTIALS,
    MQTT_BASE,
    MQTT_PREFIX,
    ANCHOR_TSA,
    ANCHOR_TSA_CA,
    ANCHOR_WITNESS,
    ANCHOR_EVERY_H,
    ANCHOR_TOO_OLD_DAYS,
)
"""Every key there is. A new one is a line above, its name here, and a line of host/CONFIGURATION.md."""


# Environment variables that no key stands for, and what each says.
VARIABLES = (
    ("EARLID_CONFIG", "the configuration file (else `config.toml` where the platform keeps configuration)"),
    ("EARLID_LOG", "`info` as `-v`, `trace` as `--trace`: for programs that start `earlid`; not in the file"),
    ("EARLID_NEGATIVES", "`model train`: the folder of sound without the word (else in `cache`)"),
    ("EARLID_MQTT_USER", "`bridge mqtt`: the broker's user; not in the file, with the next"),
    ("EARLID_MQTT_PASSWORD", "`bridge mqtt`: the broker's password; never in the file"),
    ("NO_COLOR", "anything: no colours"),
    ("TERM", "`dumb`: no colours"),
    ("COLUMNS", "the width of tables (else the terminal's)"),
    ("HOME", "as the platform has it; a service may have none"),
    ("XDG_DATA_HOME", "as the platform has it"),
    ("NOTIFY_SOCKET", "set by systemd: where `watch` tells that it is ready and lives"),
    ("CREDENTIALS_DIRECTORY", "set by systemd: the folder of files that it hands to `bridge` alone"),
    ("JOURNAL_STREAM", "set by systemd: a service has no folder of its own, so paths must be full"),
)
