# SPDX-License-Identifier: MIT
"""Configuration file: finds and reads `config.toml`; what is said by an option goes before the environment, that before it."""

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from earlid import folders
from earlid.config_keys import CACHE, KEYS, VARIABLES, Key
from earlid.door import brief, plain
from earlid.errors import USAGE, UserError
from earlid.files import read_bytes

T = TypeVar("T")

MOST_BYTES = 1 << 20
SECRETS = ("password", "passwd", "secret", "token")


class Found(NamedTuple, Generic[T]):
    """A value, and who said it: `--ledger`, `EARLID_LEDGER`, or `ledger in /home/me/.config/earlid/config.toml`."""

    value: T
    source: str


def config_path() -> Path | None:
    """Where the file is, or would be: EARLID_CONFIG, else the platform's place; None when no home folder is known."""
    chosen = os.environ.get("EARLID_CONFIG")
    try:
        if chosen:
            return Path(chosen).expanduser()
        path = folders.config() / "config.toml"
    except RuntimeError:
        return None
    return path if path.is_absolute() else None


def get(key: Key[T], option: T | None = None, lenient: bool = False) -> T | None:
    """A key's value in force; arguments and errors as of `find`."""
    found = find(key, option, lenient)
    return found.value if found else None


def find(key: Key[T], option: T | None = None, lenient: bool = False) -> Found[T] | None:
    """A key's value in force and who said it; None when nobody did. An empty option or variable says nothing.

    Args:
        option: what the command line says.
        lenient: take what can be understood and raise nothing: a mistake in a file is no reason not to close a lid.

    Raises:
        UserError: code 2 for a variable that is wrong, or for a file with any mistake in it.
    """
    if option is not None and option != "":
        return Found(option, key.option or "the command line")
    for variable in key.variables:
        if text := os.environ.get(variable):
            try:
                return Found(key.kind.from_text(text), variable)
            except ValueError as error:
                if not lenient:
                    raise UserError(f"{variable}={plain(text)!r}: {error}.", USAGE) from None
    try:
        values, problems = read()
    except UserError:
        if lenient:
            return None
        raise
    if problems and not lenient:
        raise UserError(f"{config_path()}: {problems[0]} See `earlid config check`.", USAGE)
    return Found(values[key.name], f"{key.name} in {config_path()}") if key.name in values else None


def cache_folder() -> Path:
    """Where what can be had again is kept: downloaded images, what networks are trained from.

    Raises:
        UserError: code 2 when no home folder is known, or the configuration is wrong.
    """
    try:
        path = get(CACHE) or folders.cache()
    except RuntimeError:
        path = Path("~")  # as older versions have it
    if str(path).startswith("~"):
        raise UserError("no home folder is known here (HOME): set EARLID_CACHE to a folder.", USAGE)
    return path


def read() -> tuple[dict[str, Any], list[str]]:
    """The file's values by the names of their keys, and a sentence for each mistake in it.

    Raises:
        UserError: code 2 for a file that cannot be read, is no TOML, a pipe, not there though it was named, or others' to write.
    """
    path = config_path()
    if path is None or not (path.exists() or os.environ.get("EARLID_CONFIG")):
        return {}, []
    if path.is_fifo():  # nobody may ever write to it, and `safe` must not wait
        raise UserError(f"{path} is a pipe: EARLID_CONFIG names a file.", USAGE)
    data = read_bytes(path, MOST_BYTES)
    _check_owner(path)
    import tomllib

    try:
        document = tomllib.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no TOML: {plain(error)}. See `earlid config check`.", USAGE) from None
    values: dict[str, Any] = {}
    return values, list(_take(document, "", values))


def _check_owner(path: Path) -> None:
    """Who can write it decides what runs in this user's name."""
    if os.name != "posix":
        return
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        return
    if found.st_uid not in (0, os.geteuid()):
        raise UserError(f"{path} belongs to somebody else: it is not believed. EARLID_CONFIG names another.", USAGE)
    if found.st_mode & 0o022:
        raise UserError(f"others can write {path}: it is not believed. `chmod go-w {path}`.", USAGE)


def _take(table: Mapping[str, Any], above: str, values: dict[str, Any]) -> Iterator[str]:
    """Puts what a table says into `values`; yields what is wrong with it."""
    by_name = {key.name: key for key in KEYS}
    for word, value in table.items():
        name = above + word
        if name in by_name:
            try:
                values[name] = by_name[name].kind.from_file(value)
            except ValueError as error:
                yield f"{name} {error}, and is {brief(value)}."
        elif not any(known.startswith(name + ".") for known in by_name):
            yield _unknown(name)
        elif isinstance(value, dict):
            yield from _take(value, name + ".", values)
        else:
            yield f"{name} must be a table, as [{name}], and is {brief(value)}."


def _unknown(name: str) -> str:
    if any(secret in name.lower() for secret in SECRETS):
        return f"there is no key {plain(name)!r}: no password belongs in this file."
    near = _nearest(name, [key.name for key in KEYS])
    return f"there is no key {plain(name)!r}." + (f" Did you mean {near!r}?" if near else "")


def _nearest(word: str, known: list[str]) -> str:
    """What somebody may have meant by a word; empty when nothing is near."""
    import difflib

    word = word.lower().removeprefix("earlid_").replace("-", "_")
    near = [name for name in known if name.rpartition(".")[2] == word] or difflib.get_close_matches(word, known, 1)
    return near[0] if near else ""


def unknown_variables() -> list[str]:
    """A sentence for each `EARLID_` variable that is set and that nothing reads."""
    known = [variable for key in KEYS for variable in key.variables] + [name for name, _ in VARIABLES]
    texts = []
    for name in sorted(name for name in os.environ if name.startswith("EARLID_") and name not in known):
        near = _nearest(name, [variable.lower().removeprefix("earlid_") for variable in known])
        meant = f" Did you mean EARLID_{near.upper()}?" if near else ""
        texts.append(f"nothing reads the environment's {plain(name)}.{meant}")
    return texts


def table() -> str:
    """Markdown: every key with its variable and option, and every other variable; host/CONFIGURATION.md carries it."""
    rows = [("key", "environment", "option", "kind", "what it says"), ("---",) * 5]
    for key in KEYS:
        variables = ", ".join(f"`{name}`" for name in key.variables)
        rows.append((f"`{key.name}`", variables, f"`{key.option}`" if key.option else "", key.kind.word, key.help))
    rows += [("", f"`{name}`", "", "text", help) for name, help in VARIABLES]
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)
