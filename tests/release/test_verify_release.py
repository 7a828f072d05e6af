# SPDX-License-Identifier: MIT
"""`earlid verify-release` names every kind of tampering; a release that nobody touched holds."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from earlid.cli import main
from earlid.errors import UserError
from earlid.release import judge, signature, sums

from tests.outputs import parse_output

SEED = 17


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
def made(keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small release, signed by anna."""
    folder = tmp_path_factory.mktemp("made")
    drawn = random.Random(SEED)
    for name in ("earlid-alexa.bin", "earlid-alexa.json", "earlid-web.zip"):
        (folder / name).write_bytes(drawn.randbytes(300))
    seal(folder, keys / "anna")
    return folder


@pytest.fixture
def release(made: Path, tmp_path: Path) -> Path:
    """A copy of it to tamper with."""
    return Path(shutil.copytree(made, tmp_path / "release"))


def verdicts(folder: Path, **trust: Path | bool) -> set[tuple[str | None, str]]:
    return {(finding.file, finding.verdict) for finding in judge.judge(folder, **trust).findings}  # type: ignore[arg-type]


def test_untouched_release_holds_and_says_who_signed(release: Path, keys: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify-release", str(release), "--signers", str(keys / "signers")]) == 0
    shown = subprocess.run(["ssh-keygen", "-lf", str(keys / "anna.pub")], capture_output=True, text=True, check=True).stdout
    assert capsys.readouterr().out == f"The release holds: 3 files, signed by anna@example.org ({shown.split()[1]}).\n"
    assert main(["verify-release", str(release), "--key", str(keys / "anna.pub"), "--json"]) == 0
    told = parse_output("verify-release", capsys.readouterr().out)
    assert told["signer"] == {"identity": "anna.pub", "fingerprint": shown.split()[1]}
    assert (told["holds"], told["files"]) == (True, 3)
    assert main(["verify-release", str(release), "--unsigned"]) == 0
    assert "signature not looked at" in capsys.readouterr().out
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", sums.SUMS], cwd=release, check=True)


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


@pytest.mark.parametrize("seed", range(40))
def test_any_bit_of_any_file_is_found(seed: int, release: Path, keys: Path) -> None:
    drawn = random.Random(seed)
    path = drawn.choice(sorted(release.iterdir()))
    data = bytearray(path.read_bytes())
    data[drawn.randrange(len(data))] ^= 1 << drawn.randrange(8)
    path.write_bytes(data)
    assert verdicts(release, signers=keys / "signers"), (seed, path.name)


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
    flip(release / "earlid-alexa.bin")
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
