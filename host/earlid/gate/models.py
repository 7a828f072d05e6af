# SPDX-License-Identifier: MIT
"""Model files in, blobs out: the published networks, and any other microWakeWord v2 pair of `.tflite` and `.json`."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lid import config

from earlid.door import brief, is_printable
from earlid.errors import USAGE, UserError
from earlid.files import read_bytes, read_json
from earlid.gate import blob_writer, look
from earlid.gate.graph import build_network
from earlid.gate.network import Look, Network
from earlid.gate.tflite import MAX_FILE_BYTES, ModelError, read

MANIFEST_VERSION = 2
STEP_MS = 10
DECISION: int = config.defaults()["decision"]  # of boards, until a person sets another
NETWORK_SUFFIX = ".tflite"
TEXT_MAX_BYTES = 200
LANGUAGES_MAX = 64
LANGUAGE = re.compile(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8}){0,3}")  # as RFC 5646 has them, also with an underscore


@dataclass(frozen=True)
class Manifest:
    """What a `.json` file says about a network."""

    wake_word: str
    author: str
    website: str
    languages: list[str]
    model: Path
    probability_cutoff: float
    window: int


@dataclass(frozen=True)
class Model:
    """A network ready for the board."""

    name: str
    manifest: Manifest
    network: Network
    digest: bytes  # SHA-256 of the .tflite file
    cutoff_sum: int
    blob: bytes
    look: Look | None = None  # where Earlid has one for this network

    def decided(self, decision: int) -> tuple[int, int]:
        """(what a score is of 1/unit of, what a hit must exceed in it), as the board has it with this setting of `decision`."""
        if decision and self.look:
            return self.look.scale, self.look.cutoff
        return self.manifest.window, self.cutoff_sum

    @property
    def cutoff_q8(self) -> int:
        """The mean output byte that a hit must exceed."""
        return self.cutoff_sum // self.manifest.window


def builtin_dir() -> Path:
    """The folder of the networks that the package `pymicro-wakeword` carries."""
    spec = find_spec("pymicro_wakeword")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the published networks are missing", name="pymicro_wakeword")
    return Path(spec.origin).parent / "models"


def builtin_names() -> list[str]:
    return sorted(path.stem for path in builtin_dir().glob("*.json"))


def find_manifest(name: str) -> Path:
    """The manifest of a model given by name, or by the path of its `.json` or `.tflite` file."""
    path = Path(name)
    if path.suffix in (".json", NETWORK_SUFFIX):
        manifest = path.with_suffix(".json")
        if not path.is_file():
            raise UserError(f"{path}: no such file. `earlid model list` shows the networks that are here.", USAGE)
        if not manifest.is_file():
            raise UserError(f"{path}: its manifest {manifest.name} is missing; put it next to the network.", USAGE)
        return manifest
    if name not in builtin_names():
        known = ", ".join(builtin_names())
        raise UserError(f"no model {name!r}: there are {known}; or give the path of a .tflite file with its .json", USAGE)
    return builtin_dir() / f"{name}.json"


def cutoff_sum(probability_cutoff: float, window: int) -> int:
    """The largest sum of `window` output bytes that pymicro-wakeword does not call a detection.

    It compares the mean, rounded to a float, with the cutoff: a sum is too small while `mean > cutoff` is false.
    """
    cutoff = int(Fraction(probability_cutoff) * 256 * window)
    while float(Fraction(cutoff + 1, 256 * window)) <= probability_cutoff:
        cutoff += 1
    return cutoff


def _number(micro: dict[str, Any], key: str, kinds: tuple[type, ...], path: Path) -> Any:
    value = micro.get(key)
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise UserError(f"{path}: micro.{key} is {brief(value)}, a number is needed", USAGE)
    return value


def _text(entry: dict[str, Any], key: str, default: str, path: Path) -> str:
    value = entry.get(key, default)
    if not isinstance(value, str) or len(value.encode(errors="replace")) > TEXT_MAX_BYTES or not is_printable(value):
        raise UserError(f"{path}: {key} is {brief(value)}, at most {TEXT_MAX_BYTES} bytes of printable text are needed", USAGE)
    return value


def _model_path(entry: dict[str, Any], path: Path) -> Path:
    """The file that `model` names, an address or a path: the one of its last part, beside the manifest."""
    name = _text(entry, "model", path.stem + ".tflite", path).replace("\\", "/").rsplit("/", 1)[-1]
    if name in ("", ".", ".."):
        raise UserError(f"{path}: model is {brief(entry['model'])}, the name of a .tflite file beside it is needed", USAGE)
    return path.with_name(name)


def read_manifest(path: Path) -> Manifest:
    """Read a version 2 manifest. Raises UserError that names the entry that is wrong."""
    entry = read_json(path)
    if not isinstance(entry, dict) or entry.get("type") != "micro" or not isinstance(entry.get("micro"), dict):
        kind = brief(entry.get("type")) if isinstance(entry, dict) else "?"
        raise UserError(f"{path}: not a microWakeWord manifest (type {kind})", USAGE)
    version = entry.get("version")
    if version != MANIFEST_VERSION:
        raise UserError(
            f"{path}: manifest version {brief(version)}, version {MANIFEST_VERSION} is needed: version 1 is of networks with "
            "other features. If the network is of version 2, its maker's manifest says so", USAGE,
        )  # fmt: skip
    micro = entry["micro"]
    cutoff = _number(micro, "probability_cutoff", (int, float), path)
    window = _number(micro, "sliding_window_size", (int,), path)
    step = micro.get("feature_step_size", STEP_MS)
    languages = entry.get("trained_languages") or []
    if not 0 <= cutoff < 1 or not 1 <= window <= 255 or step != STEP_MS:
        raise UserError(
            f"{path}: probability_cutoff {brief(cutoff)}, sliding_window_size {brief(window)}, feature_step_size {brief(step)}: "
            "below 1, 1 to 255 and 10 are needed",
            USAGE,
        )
    codes = languages if isinstance(languages, list) and len(languages) <= LANGUAGES_MAX else [None]
    if not all(isinstance(code, str) and LANGUAGE.fullmatch(code) for code in codes):
        raise UserError(f"{path}: trained_languages is not a list of codes such as en or pt-BR", USAGE)
    return Manifest(
        _text(entry, "wake_word", path.stem, path), _text(entry, "author", "", path), _text(entry, "website", "", path),
        languages, _model_path(entry, path), float(cutoff), window,
    )  # fmt: skip


def load(name: str) -> Model:
    """A model by name or path, compiled for the board. Raises UserError naming the file and what is wrong with it."""
    path = find_manifest(name)
    manifest = read_manifest(path)
    if name.endswith(NETWORK_SUFFIX):  # the network that was named, also when its maker called it otherwise
        manifest = replace(manifest, model=Path(name))
    try:
        data = read_bytes(manifest.model, MAX_FILE_BYTES)
    except UserError as error:
        raise UserError(f"{error} The manifest {path.name} names it.", USAGE) from error
    digest = hashlib.sha256(data).digest()
    cutoff = cutoff_sum(manifest.probability_cutoff, manifest.window)
    try:
        layers = build_network(read(data))
        entry = look.find(digest)
        second = look.load(entry, layers) if entry else None
        blob = blob_writer.encode(layers, manifest.wake_word, manifest.languages, manifest.window, cutoff, digest, second)
    except ModelError as error:
        raise UserError(f"{manifest.model.name}: {error}", USAGE) from error
    return Model(path.stem, manifest, layers, digest, cutoff, blob, second)
