# SPDX-License-Identifier: MIT
"""`earlid verify-release`: are these the files that were released, and who says so."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from earlid.arguments import Subparsers, add_json_argument
from earlid.door import plain
from earlid.errors import FAILED

_SAY_MAX = 500  # characters: file names and manifests are from outside


def add(subparsers: Subparsers) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "verify-release",
        description="Judges the folder of a release, offline: SHA256SUMS is complete, every file has its hash, somebody whom you "
        "trust signed that, and what the files say of each other agrees. Exit code 0: it holds. 1: it does not, or that cannot "
        "be told.",
    )
    parser.add_argument("folder", metavar="DIR", help="the folder with SHA256SUMS and all that it names")
    trust = parser.add_mutually_exclusive_group()
    trust.add_argument("--signers", metavar="FILE", help="whom you trust: a list of signers, as ssh-keygen(1) has it")
    trust.add_argument("--key", metavar="FILE", help="whom you trust: one public key of OpenSSH (.pub)")
    trust.add_argument("--unsigned", action="store_true", help="the hashes will do: look at no signature")
    add_json_argument(parser, "one JSON document")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Judge the release and print the findings."""
    from earlid.release.judge import judge

    verdict = judge(
        Path(args.folder), signers=args.signers and Path(args.signers), key=args.key and Path(args.key), unsigned=args.unsigned
    )
    if args.json:
        signer = verdict.signer and verdict.signer._asdict()
        findings = [finding._asdict() for finding in verdict.findings]
        told = {"holds": not findings, "files": verdict.files, "commit": verdict.commit, "signer": signer, "findings": findings}
        print(json.dumps(told))
        return FAILED if findings else 0
    for finding in verdict.findings:
        print(f"  {finding.verdict.upper()}: {plain(finding.say, _SAY_MAX)}.")
    if verdict.findings:
        print("The release does not hold.")
    else:
        by = (
            f"signed by {verdict.signer.identity} ({verdict.signer.fingerprint})" if verdict.signer else "signature not looked at"
        )
        print(f"The release holds: {verdict.files} files, {by}. It says that it was made of commit {verdict.commit}.")
    return FAILED if verdict.findings else 0
