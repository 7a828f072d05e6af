# SPDX-License-Identifier: MIT
"""`make release` makes the same bytes each time; `earlid verify-release` finds them to hold, and names all tampering."""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from earlid import firmware
from earlid.cli import main
from earlid.errors import UserError
from earlid.flash import content, firmware_build, one_file
from earlid.release import contents, judge, signature, sums

from tests.flash import release_image
from tests.flash.harness import ROOT
from tests.outputs import parse_output

sys.path.append(str(ROOT / "host" / "wheel"))
maker: Any = importlib.import_module("release")
SEED = 17
LICENCES = "What\n\n@noble/hashes 2.4.0 (MIT), 9 bytes of page.js\n\nesptool-js 0.7.0 (Apache-2.0), 8 bytes of page.js\n"
VERSION = "0.2.0"


def keygen(path: Path) -> Path:
    """A key pair without a passphrase; returns the private key's file."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)
    return path


def public(key: Path) -> str:
    return " ".join(key.with_suffix(".pub").read_text().split()[:2])


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the keys `anna` and `ben`, and lists of signers."""
    folder = tmp_path_factory.mktemp("keys")
    anna, ben = keygen(folder / "anna"), keygen(folder / "ben")
    (folder / "signers").write_text(f'# who\n!x@example.org,anna@example.org namespaces="earlid-release" {public(anna)}\n')
    (folder / "of-ben").write_text(f"ben@example.org {public(ben)}\n")
    (folder / "expired").write_text(f'anna@example.org valid-before="20200101" {public(anna)}\n')
    (folder / "not-yet").write_text(f'anna@example.org valid-after="20990101" {public(anna)}\n')
    (folder / "for-git").write_text(f'anna@example.org namespaces="git" {public(anna)}\n')
    (folder / "later-line").write_text((folder / "for-git").read_text() + f"anna-too {public(anna)}\n")
    (folder / "empty").write_text("# nobody\n\n")
    return folder


def seal(folder: Path, key: Path | None = None) -> None:
    """Write the sums over what lies in a folder, and sign them."""
    there = {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in (sums.SUMS, sums.SIGNATURE)}
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in there.items()}
    (folder / sums.SUMS).write_text(sums.write(hashes))
    if key:
        signature.sign(folder / sums.SUMS, key)


@pytest.fixture(scope="module")
def micropython(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up release of MicroPython."""
    path = tmp_path_factory.mktemp("micropython") / "ESP32_GENERIC-20250911-v1.26.1.bin"
    path.write_bytes(release_image.release().data)
    return path


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up flashing page, in a folder that holds more."""
    folder = tmp_path_factory.mktemp("page")
    for name in ("stamp", *contents.PAGE):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(LICENCES if name == contents.LICENCES else name)
    return folder


@pytest.fixture(scope="module")
def made(keys: Path, page: Path, micropython: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of this tree, signed by anna."""
    out = tmp_path_factory.mktemp("made") / "release"
    return Path(maker.make(out, page, str(micropython), keys / "anna", dirty=True, other_micropython=True))


@pytest.fixture
def release(made: Path, tmp_path: Path) -> Path:
    """A copy of it to tamper with."""
    return Path(shutil.copytree(made, tmp_path / "release"))


def verdicts(folder: Path, **trust: Path | bool) -> set[tuple[str | None, str]]:
    return {(finding.file, finding.verdict) for finding in judge.judge(folder, **trust).findings}  # type: ignore[arg-type]


def test_untouched_release_holds_and_says_who_signed(release: Path, keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify-release", str(release), "--signers", str(keys / "signers")]) == 0
    shown = subprocess.run(["ssh-keygen", "-lf", str(keys / "anna.pub")], capture_output=True, text=True, check=True).stdout
    assert capsys.readouterr().out == (
        f"The release holds: 14 files, signed by anna@example.org ({shown.split()[1]}). "
        f"It says that it was made of commit {head()}.\n"
    )
    assert main(["verify-release", str(release), "--key", str(keys / "anna.pub"), "--json"]) == 0
    told = parse_output("verify-release", capsys.readouterr().out)
    assert told["signer"] == {"identity": "anna.pub", "fingerprint": shown.split()[1]}
    assert (told["holds"], told["files"], told["commit"]) == (True, 14, head())
    assert main(["verify-release", str(release), "--unsigned"]) == 0
    assert "signature not looked at" in capsys.readouterr().out
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", sums.SUMS], cwd=release, check=True)


def head() -> str:
    return subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()


def flip(path: Path) -> None:
    """Turn one bit over, somewhere."""
    data = bytearray(path.read_bytes())
    data[random.Random(SEED).randrange(len(data))] ^= 1
    path.write_bytes(data)


def swap(release: Path) -> None:
    (release / "earlid-alexa.bin").rename(release / "other")
    (release / "earlid-web.zip").rename(release / "earlid-alexa.bin")
    (release / "other").rename(release / "earlid-web.zip")


def link_out(release: Path) -> None:
    (release / "earlid-web.zip").rename(release.parent / "elsewhere")
    (release / "earlid-web.zip").symlink_to(release.parent / "elsewhere")


def grow(release: Path) -> None:
    with (release / "earlid-web.zip").open("r+b") as file:
        file.truncate(1 << 40)  # a hole: it takes no disk and would take hours to hash


def add_line(line: str) -> Callable[[Path], None]:
    def add(release: Path) -> None:
        with (release / sums.SUMS).open("a") as file:
            file.write(line)

    return add


HASH = "0" * 64
SUMS_ALTERED = (sums.SUMS, "altered")  # by its signature


@pytest.mark.parametrize(
    ("tamper", "found"),
    [
        (lambda release: flip(release / "earlid-alexa.bin"), {("earlid-alexa.bin", "altered")}),
        (swap, {("earlid-alexa.bin", "swapped"), ("earlid-web.zip", "swapped")}),
        (lambda release: (release / "more.bin").write_bytes(b"x"), {("more.bin", "added")}),
        (lambda release: (release / "more\x1b[2J").write_bytes(b"x"), {("more\x1b[2J", "added")}),
        (lambda release: (release / "more").mkdir(), {("more", "no file")}),
        (lambda release: os.mkfifo(release / "more"), {("more", "no file")}),
        (lambda release: (release / "earlid-web.zip").unlink(), {("earlid-web.zip", "missing")}),
        (link_out, {("earlid-web.zip", "link")}),
        (grow, {("earlid-web.zip", "too large")}),
        (lambda release: (release / sums.SUMS).unlink(), {(sums.SUMS, "missing")}),
        (add_line(f"{HASH}  ../../secret\n"), {(sums.SUMS, "path"), SUMS_ALTERED}),
        (add_line(f"{HASH}  /etc/passwd\n"), {(sums.SUMS, "path"), SUMS_ALTERED}),
        (add_line(f"{HASH}  ..\n"), {(sums.SUMS, "path"), SUMS_ALTERED}),
        (add_line(f"{HASH}  \x1b[2Jx\n"), {(sums.SUMS, "path"), SUMS_ALTERED}),
        (add_line(f"{HASH}  gone.bin\n"), {("gone.bin", "missing"), SUMS_ALTERED}),
        (add_line(f"{HASH}  earlid-web.zip\n"), {(sums.SUMS, "malformed"), SUMS_ALTERED}),
        (add_line("hello"), {(sums.SUMS, "malformed"), SUMS_ALTERED}),
        (lambda release: (release / sums.SIGNATURE).unlink(), {(sums.SIGNATURE, "unsigned")}),
        (lambda release: (release / sums.SIGNATURE).write_text("me"), {(sums.SIGNATURE, "malformed")}),
    ],
)
def test_tampering_is_named(
    tamper: Callable[[Path], object], found: set[tuple[str, str]], release: Path, keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tamper(release)
    assert verdicts(release, signers=keys / "signers") == found
    assert main(["verify-release", str(release), "--signers", str(keys / "signers")]) == 1
    out = capsys.readouterr().out
    assert out.endswith("The release does not hold.\n")
    assert "\x1b" not in out


def test_any_bit_of_any_file_is_found(release: Path, keys: Path) -> None:
    drawn = random.Random(SEED)
    for path in sorted(release.iterdir()):
        data = path.read_bytes()
        at = drawn.randrange(len(data))
        path.write_bytes(data[:at] + bytes([data[at] ^ 1 << drawn.randrange(8)]) + data[at + 1 :])
        assert verdicts(release, signers=keys / "signers"), (SEED, path.name, at)
        path.write_bytes(data)
    assert verdicts(release, signers=keys / "signers") == set()


@pytest.mark.parametrize(
    ("signers", "verdict"),
    [
        ("of-ben", "other key"),
        ("expired", "not valid"),
        ("not-yet", "not valid"),
        ("for-git", "not valid"),
        ("empty", "no signer known"),
    ],
)
def test_list_that_does_not_have_the_signer_trusts_nobody(signers: str, verdict: str, release: Path, keys: Path) -> None:
    assert verdicts(release, signers=keys / signers) == {(sums.SIGNATURE, verdict)}


def test_second_line_for_the_same_key_counts_too(release: Path, keys: Path) -> None:
    verdict = judge.judge(release, signers=keys / "later-line")
    assert verdict.findings == []
    assert verdict.signer is not None
    assert verdict.signer.identity == "anna-too"


def test_signature_for_something_else_or_by_somebody_else_is_named(release: Path, keys: Path) -> None:
    assert verdicts(release, key=keys / "ben.pub") == {(sums.SIGNATURE, "other key")}
    assert verdicts(release) == {(sums.SIGNATURE, "no signer known")}
    (release / sums.SIGNATURE).unlink()
    line = ["ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", str(keys / "anna"), str(release / sums.SUMS)]
    subprocess.run(line, check=True, capture_output=True)
    assert verdicts(release, signers=keys / "signers") == {(sums.SIGNATURE, "other namespace")}


def test_whoever_alters_a_file_and_its_sum_lacks_the_key(release: Path, keys: Path) -> None:
    flip(release / "earlid-0.2.0.tar.gz")
    seal(release)
    assert verdicts(release, signers=keys / "signers") == {SUMS_ALTERED}
    assert verdicts(release, unsigned=True) == set()
    seal(release, keys / "ben")
    assert verdicts(release, signers=keys / "signers") == {(sums.SIGNATURE, "other key")}


def test_without_ssh_keygen_nothing_is_called_good(release: Path, keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert verdicts(release, signers=keys / "signers") == {(sums.SIGNATURE, "cannot judge")}
    assert verdicts(release, unsigned=True) == set()
    with pytest.raises(UserError, match="install OpenSSH"):
        signature.sign(release / sums.SUMS, keys / "anna")


@pytest.mark.parametrize(
    "words", [["nowhere"], ["HERE", "--signers", "nowhere"], ["HERE", "--key", "nowhere"], ["HERE", "--key", "HERE/SHA256SUMS"]]
)
def test_what_cannot_be_read_is_the_callers_mistake(words: list[str], release: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify-release", *(word.replace("HERE", str(release)) for word in words)]) == 2
    assert capsys.readouterr().err.startswith("earlid: ")


def test_key_of_an_agent_signs(release: Path, keys: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    started = subprocess.run(["ssh-agent", "-a", str(tmp_path / "agent")], capture_output=True, text=True, check=True).stdout
    number = started.partition("SSH_AGENT_PID=")[2].partition(";")[0]
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    try:
        subprocess.run(["ssh-add", "-q", str(keys / "ben")], check=True)
        alone = tmp_path / "ben.pub"
        shutil.copy(keys / "ben.pub", alone)
        signature.sign(release / sums.SUMS, alone)
    finally:
        os.kill(int(number), 15)
    assert verdicts(release, signers=keys / "of-ben") == set()
    with pytest.raises(UserError, match="does not sign"):
        signature.sign(release / sums.SUMS, alone)


# What a release says of itself: these have right sums, and a signature where somebody signed too early.

Files = dict[str, bytes]


def edit(files: Files, name: str, change: Callable[[Any], object]) -> None:
    """Change a JSON file."""
    value = json.loads(files[name])
    change(value)
    files[name] = json.dumps(value).encode()


def rezip(files: Files, name: str, inner: str, change: Callable[[bytes], bytes], new: bool = False) -> None:
    """Change a file in a .zip or .whl, or add one."""
    with zipfile.ZipFile(io.BytesIO(files[name])) as archive:
        held = {info.filename: archive.read(info) for info in archive.infolist()}
    (path,) = [inner] if new else [path for path in held if path.endswith(inner)]
    files[name] = maker.zipped(held | {path: change(held.get(path, b""))})


def other_firmware(files: Files) -> None:
    """An image that is right in itself, with another byte of firmware, and its own manifest."""
    micropython = release_image.release()
    held = content.files(firmware_build.build(firmware.root(), "xtensawin"), None)
    held["/main.py"] += b"\n"
    name = "earlid-no-word.bin"
    files[name] = one_file.make(micropython, held)
    manifest = one_file.manifest(name, files[name], micropython, held, recipe="digital", word=None)
    files["earlid-no-word.json"] = json.dumps(manifest).encode()


def exchange(files: Files, one: str, other: str) -> None:
    files[one], files[other] = files[other], files[one]


WHEEL = f"earlid-{VERSION}-py3-none-any.whl"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda files: files.pop(WHEEL), "0 wheels"),
        (lambda files: files.update({"earlid-0.3.0-py3-none-any.whl": files[WHEEL]}), "2 wheels"),
        (lambda files: files.update({"earlid-0.3.0-py3-none-any.whl": files.pop(WHEEL)}), "no earlid-0.3.0.tar.gz"),
        (lambda files: files.pop(f"earlid-{VERSION}.tar.gz"), f"no earlid-{VERSION}.tar.gz"),
        (lambda files: files.pop("earlid-alexa.bin"), "earlid-alexa.json is nothing that a release has"),
        (lambda files: (files.pop("earlid-alexa.bin"), files.pop("earlid-alexa.json")), "no earlid-alexa.bin"),
        (lambda files: files.pop("earlid-alexa.json"), "has no earlid-alexa.json"),
        (lambda files: files.update({"install.sh": b""}), "install.sh is nothing that a release has"),
        (lambda files: files.update({WHEEL: b"no wheel"}), "cannot be understood"),
        (
            lambda files: rezip(files, WHEEL, ".dist-info/METADATA", lambda text: text.replace(b"0.2.0", b"0.1.9")),
            "says that it is 'earlid' '0.1.9'",
        ),
        (
            lambda files: edit(files, "earlid-alexa.json", lambda it: it.update(earlid="0.1.9")),
            "it says 'earlid-alexa.bin', '0.1.9', 'alexa', False",
        ),
        (lambda files: edit(files, "earlid-alexa.json", lambda it: it["files"].pop()), "is not in the manifest"),
        (
            lambda files: edit(files, "earlid-alexa.json", lambda it: it["files"][3].update(sha256="0" * 64)),
            "has another content",
        ),
        (lambda files: edit(files, "earlid-alexa.json", lambda it: it.pop("image")), "is none of a one file"),
        (lambda files: files.update({"earlid-alexa.json": b"[" * 100_000}), "cannot be understood"),
        (lambda files: files.update({"earlid-alexa.json": b"[]"}), "cannot be understood"),
        (lambda files: exchange(files, "earlid-alexa.bin", "earlid-no-word.bin"), "does not hold the word 'alexa'"),
        (lambda files: files.update({"earlid-alexa.bin": b"\xff" * 5000}), "no file of `earlid image`"),
        (lambda files: files.update({"earlid-alexa.bin": files["earlid-alexa.bin"][:-4096]}), "was cut off"),
        (other_firmware, "holds another firmware than"),
        (
            lambda files: rezip(files, contents.WEB, contents.INDEX, lambda text: text.replace(b"alexa", b"alexb")),
            "is not the list of the release's images",
        ),
        (
            lambda files: rezip(files, contents.WEB, contents.LICENCES, lambda text: text.replace(b"0.7.0", b"0.7.1")),
            "does not name esptool-js 0.7.1",
        ),
        (lambda files: rezip(files, contents.WEB, contents.LICENCES, lambda text: text * 250_000), "cannot be understood"),
        (lambda files: rezip(files, contents.WEB, "evil.js", lambda _: b"evil", new=True), "holds other files"),
        (lambda files: edit(files, contents.BILL, lambda it: it["components"].pop(0)), "lacks 'alexa'"),
        (
            lambda files: edit(files, contents.BILL, lambda it: it["metadata"]["component"].update(version="0.1.9")),
            "another version",
        ),
        (
            lambda files: edit(
                files,
                contents.BILL,
                lambda it: it.update(components=[one for one in it["components"] if one["name"] != "MicroPython"]),
            ),
            "does not name the MicroPython of",
        ),
        (
            lambda files: rezip(files, WHEEL, "METADATA", lambda text: text.replace(b"rich<16", b"rich<17")),
            "does not name what the wheel requires: 'rich<17",
        ),
        (
            lambda files: rezip(files, WHEEL, "METADATA", lambda text: text.replace(b"unix<1.29", b"unix<1.30")),
            'does not name what the wheel requires: "jonnor',
        ),
    ],
)
def test_release_that_contradicts_itself_is_told(change: Callable[[Files], object], says: str, made: Path) -> None:
    files = {path.name: path.read_bytes() for path in made.iterdir() if path.name not in (sums.SUMS, sums.SIGNATURE)}
    change(files)
    found = contents.disagreements(files)
    assert {finding.verdict for finding in found} == {"disagrees"}
    assert any(says in finding.say for finding in found), found


def test_contents_are_not_opened_where_nobody_vouches_for_them(release: Path, keys: Path) -> None:
    (release / WHEEL).write_bytes(b"no wheel")
    seal(release)
    assert verdicts(release, signers=keys / "signers") == {SUMS_ALTERED}
    assert verdicts(release, unsigned=True) == {(WHEEL, "disagrees")}


def test_release_names_all_that_it_holds_of_others(made: Path, micropython: Path) -> None:
    bill = json.loads((made / contents.BILL).read_text())
    hashes = {item["content"] for one in bill["components"] for item in one.get("hashes", ())}
    assert hashlib.sha256(micropython.read_bytes()).hexdigest() in hashes
    assert {"pkg:npm/%40noble/hashes@2.4.0", "pkg:npm/esptool-js@0.7.0"} <= {one.get("purl") for one in bill["components"]}
    tools = {one["name"]: one["version"] for one in bill["metadata"]["tools"]["components"]}
    assert set(maker.TOOLS) <= set(tools)
    with zipfile.ZipFile(made / contents.WEB) as web:
        assert sorted(web.namelist()) == sorted(contents.PAGE)


@pytest.mark.soak
def test_release_made_elsewhere_is_the_same_bytes(tmp_path: Path, page: Path, micropython: Path) -> None:
    """Of the commit, in two clones, with other settings."""
    script = (
        "import sys; sys.path.insert(0, 'host/wheel'); import release; from pathlib import Path\n"
        "release.make(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], other_micropython=True)"
    )
    made = []
    for name, settings in (("one", {}), ("two", {"TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "7", "COLUMNS": "200"})):
        clone = tmp_path / name / "clone"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        line = [sys.executable, "-c", script, str(tmp_path / name / "out"), str(page), str(micropython)]
        subprocess.run(
            line,
            cwd=clone,
            env={**os.environ, "PYTHONPATH": str(clone / "host"), **settings},
            check=True,
            umask=0o077 if settings else 0o022,
        )
        made.append({path.name: path.read_bytes() for path in (tmp_path / name / "out").iterdir()})
    assert [name for name in made[0] if made[0][name] != made[1].get(name)] == []
    assert set(made[0]) == set(made[1])
    (tmp_path / "two" / "clone" / "README.md").write_text("changed")
    done = subprocess.run(
        line, cwd=clone, env={**os.environ, "PYTHONPATH": str(clone / "host")}, capture_output=True, text=True, check=False
    )
    assert "commit them" in done.stderr


def test_maker_says_in_a_sentence_what_is_missing(
    page: Path, micropython: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    monkeypatch.setenv("EARLID_CACHE", str(tmp_path))
    monkeypatch.setattr(maker.image, "DOWNLOAD_URL", "http://127.0.0.1:1/")
    with pytest.raises(UserError, match=r"^MicroPython's ESP32_GENERIC\S+ is not here and cannot be fetched: .* IMAGE=FILE`\.$"):
        maker.make(out, page, dirty=True)
    with pytest.raises(UserError, match="not the pinned"):
        maker.make(out, page, str(micropython), dirty=True)
    with pytest.raises(UserError, match="KEY=FILE"):
        maker.make(out, page, str(micropython), tmp_path / "none", dirty=True)
    monkeypatch.setattr(maker, "_git", lambda *words: " M README.md\n")
    with pytest.raises(UserError, match="commit them"):
        maker.make(out, page, str(micropython))
    assert not out.exists()


@pytest.mark.parametrize(
    ("at", "value"), [(6, 235), (8, 1), (10, 1), (10, 12), (10, 14), (10, 99), (42, 255)],
    ids=["newer ZIP", "password", "method 1", "bzip2", "LZMA", "method 99", "file elsewhere"],
)  # fmt: skip
def test_archive_that_cannot_be_read_is_a_value_error(at, value):
    data = bytearray(maker.zipped({"words.json": b"[1, 2, 3]" * 20}))
    assert contents.entry(bytes(data), "words.json")
    data[data.index(b"PK\x01\x02") + at] = value
    if at == 10:
        data[8] = value  # the file's own header
    with pytest.raises(ValueError, match="no ZIP file"):
        contents.entry(bytes(data), "words.json")
