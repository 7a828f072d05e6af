# SPDX-License-Identifier: MIT
"""What the files of a release say of each other: versions, manifests and images, words, page, bill of materials."""

from __future__ import annotations

import email
import io
import json
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from earlid.door import brief, plain
from earlid.errors import UserError
from earlid.flash import one_file
from earlid.release.sums import Finding

WEB, BILL = "earlid-web.zip", "sbom.cdx.json"
NO_WORD = "no-word"  # stands where an image has its word's name
INDEX, LICENCES = "images/index.json", "licences.txt"
PAGE = ("index.html", LICENCES, "page.css", "page.js", "verify.html", INDEX)
COMMIT = "earlid:commit"  # a property of the bill
_WHEEL = re.compile(r"earlid-([\w.]+)-py3-none-any\.whl")
_IMAGE = re.compile(r"earlid-([\w-]+)\.bin")
_PACKAGE = re.compile(r"^(\S+) (\S+) \(([^)]*)\), \d+ bytes of (?:page\.js|verify\.html)$", re.MULTILINE)
_ENTRY_MAX_BYTES = 16 << 20  # of what is read in a .whl or .zip
# What a damaged archive ends in: an unknown version or method, a password, an early end, what bzip2, LZMA and deflate say.
_ZIP_ERRORS = (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, zlib.error, lzma.LZMAError, struct.error)
_MODEL = re.compile(r"/model-[0-9a-f]{12}\.bin|/active")  # what differs between the images of a release

Json = dict[str, Any]


def disagreements(files: Mapping[str, bytes]) -> list[Finding]:
    """Every contradiction between the files of a release, which are those that `SHA256SUMS` says.

    Args:
        files: by name, without `SHA256SUMS` and its signature.
    """
    wheels = [name for name in files if _WHEEL.fullmatch(name)]
    if len(wheels) != 1:
        return [_finding(None, f"the release has {len(wheels)} wheels instead of one")]
    version = _WHEEL.fullmatch(wheels[0])[1]  # type: ignore[index]
    wanted = [f"earlid-{version}.tar.gz", WEB, BILL]
    found = [_finding(name, f"the release has no {name}") for name in wanted if name not in files]
    names = {wheels[0], *wanted, *(name for bin_name in files if _IMAGE.fullmatch(bin_name) for name in _pair(bin_name))}
    found += [_finding(name, f"{name} is nothing that a release has") for name in sorted(set(files) - names)]
    if found:
        return found

    def check(name: str, rule: Callable[[], Iterator[str]]) -> None:
        try:
            found.extend(_finding(name, say) for say in rule())
        except UserError as error:
            found.append(_finding(name, str(error).rstrip(".")))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            found.append(_finding(name, f"{name} cannot be understood ({plain(error, 80)})"))

    wheel = files[wheels[0]]
    check(wheels[0], lambda: _wheel(wheel, version))
    if found:
        return found
    images = {name: files[name] for name in files if _IMAGE.fullmatch(name)}
    check(wheels[0], lambda: _every_word(wheel, images))
    inspected: dict[str, one_file.Inspection] = {}
    for name in images:
        check(name, lambda name=name: _image(name, files, version, wheel, inspected))  # type: ignore[misc]
    if not found:
        check(next(iter(images)), lambda: _same_but_for_the_word(inspected))
        check(WEB, lambda: _web(files, images))
        check(BILL, lambda: _bill(files, wheel, version, images))
    return found


def _finding(name: str | None, say: str) -> Finding:
    return Finding(name, "disagrees", say)


def _pair(image: str) -> tuple[str, str]:
    return image, image.removesuffix(".bin") + ".json"


@contextmanager
def _opened(archive: bytes) -> Iterator[zipfile.ZipFile]:
    """A .zip or .whl; ValueError for all that zipfile and what it decompresses with make of another."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            yield opened
    except _ZIP_ERRORS as error:
        raise ValueError(f"no ZIP file that can be read: {error}") from error


def entry(archive: bytes, name: str) -> bytes:
    """A file of a .zip or .whl, by a name that may begin with `*`.

    Raises:
        ValueError: when there is not just one, it is too large, or the archive cannot be read.
    """
    with _opened(archive) as opened:
        end = name.removeprefix("*")
        infos = [info for info in opened.infolist() if info.filename == name or (end != name and info.filename.endswith(end))]
        if len(infos) != 1 or infos[0].file_size > _ENTRY_MAX_BYTES:
            raise ValueError(f"no {name} in it")
        with opened.open(infos[0]) as file:
            return file.read(_ENTRY_MAX_BYTES)


def _wheel(wheel: bytes, version: str) -> Iterator[str]:
    said = email.message_from_bytes(entry(wheel, "*.dist-info/METADATA"))
    if (said["Name"], said["Version"]) != ("earlid", version):
        yield f"the wheel of {version} says that it is {brief(said['Name'])} {brief(said['Version'])}"


def words(wheel: bytes) -> list[str]:
    """Names of the published words in a wheel."""
    return [str(one["name"]) for one in json.loads(entry(wheel, "earlid/words/words.json"))]


def _every_word(wheel: bytes, images: Mapping[str, bytes]) -> Iterator[str]:
    wanted = {f"earlid-{name}.bin" for name in (*words(wheel), NO_WORD)}
    yield from (f"the wheel has a word without an image: there is no {name}" for name in sorted(wanted - set(images)))
    yield from (f"{name} is of no word that the wheel has" for name in sorted(set(images) - wanted))


def _image(
    name: str, files: Mapping[str, bytes], version: str, wheel: bytes, inspected: dict[str, one_file.Inspection]
) -> Iterator[str]:
    json_name = _pair(name)[1]
    if json_name not in files:
        yield f"{name} has no {json_name}"
        return
    said: Json = json.loads(files[json_name])
    data = files[name]
    found = inspected[name] = one_file.inspect(data, name, said["flash_bytes"])
    yield from (f"{name} is not as {json_name} says: {say}" for say in one_file.differences(data, found, said))
    word = name.removeprefix("earlid-").removesuffix(".bin")
    claims = (said["image"]["name"], said["earlid"], said["word"], said["larger_flash"])
    if claims != (name, version, None if word == NO_WORD else word, found.layout.larger_flash):
        yield f"{json_name} is not of {name} and version {version}: it says {', '.join(map(brief, claims))}"
    models = [content for path, content in found.files.items() if path.startswith("/model-")]
    if models != ([] if word == NO_WORD else [entry(wheel, f"earlid/words/{word}.elww")]):
        yield f"{name} does not hold the word {word!r} of the wheel"


def _same_but_for_the_word(inspected: Mapping[str, one_file.Inspection]) -> Iterator[str]:
    firmwares = {
        name: {path: data for path, data in found.files.items() if not _MODEL.fullmatch(path)}
        for name, found in inspected.items()
    }
    first, *others = firmwares
    yield from (f"{name} holds another firmware than {first}" for name in others if firmwares[name] != firmwares[first])


def _web(files: Mapping[str, bytes], images: Mapping[str, bytes]) -> Iterator[str]:
    with _opened(files[WEB]) as archive:
        if sorted(archive.namelist()) != sorted(PAGE):
            yield f"{WEB} holds other files than those of the page"
    index = json.loads(entry(files[WEB], INDEX))
    if index != [json.loads(files[_pair(name)[1]]) for name in sorted(images)]:
        yield f"{INDEX} in {WEB} is not the list of the release's images"


def page_packages(web: bytes) -> list[tuple[str, str, str]]:
    """What a page contains of others: name, version, licence."""
    return [(name, version, licence) for name, version, licence in _PACKAGE.findall(entry(web, LICENCES).decode())]


def _bill(files: Mapping[str, bytes], wheel: bytes, version: str, images: Mapping[str, bytes]) -> Iterator[str]:
    bill: Json = json.loads(files[BILL])
    components: list[Json] = bill["components"]
    if bill["metadata"]["component"]["version"] != version:
        yield f"{BILL} is of another version than the wheel"
    inner = json.loads(entry(wheel, "*/earlid.cdx.json"))
    yield from (f"{BILL} lacks {brief(one['name'])}, which the wheel's own bill has"
                for one in inner["components"] if one not in components)  # fmt: skip
    said = email.message_from_bytes(entry(wheel, "*.dist-info/METADATA"))
    named = {(item["name"], item["value"]) for one in components for item in one.get("properties", ())}
    for line in said.get_all("Requires-Dist") or ():
        if _requirement(line) not in named:
            yield f"{BILL} does not name what the wheel requires: {brief(line)}"
    hashes = {item["content"] for one in components for item in one.get("hashes", ())}
    for name in sorted(images):
        micropython = json.loads(files[_pair(name)[1]])["micropython"]
        if micropython["sha256"] not in hashes:
            yield f"{BILL} does not name the MicroPython of {name}"
    libraries = {one.get("purl") for one in components}
    for package, number, _ in page_packages(files[WEB]):
        if npm_url(package, number) not in libraries:
            yield f"{BILL} does not name {package} {number}, which the page contains"


def _requirement(line: str) -> tuple[str, str]:
    """A `Requires-Dist` as a property of a component: `X; (MARKER) and extra == 'E'` is X; MARKER, for E."""
    match = re.fullmatch(r"([^;]+); (?:\((.*)\) and |(.*) and )?extra == '([\w-]+)'", line)
    if not match:
        return "earlid:requires", line
    marker = match[2] or match[3]
    return f"earlid:requires:{match[4]}", match[1] + (f"; {marker}" if marker else "")


def commit(bill: bytes) -> str | None:
    """The commit that a release says it was made of, in hex."""
    try:
        properties = json.loads(bill)["metadata"]["component"]["properties"]
        found = next(one["value"] for one in properties if one["name"] == COMMIT)
    except (ValueError, KeyError, TypeError, StopIteration, RecursionError):
        return None
    return found if isinstance(found, str) and re.fullmatch(r"[0-9a-f]{40,64}", found) else None


def npm_url(package: str, version: str) -> str:
    """A package of npm as a bill of materials names it."""
    return f"pkg:npm/{package.replace('@', '%40')}@{version}"
