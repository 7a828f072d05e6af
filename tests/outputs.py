# SPDX-License-Identifier: MIT
"""What `--json` prints, held against its schema: no name that the schema lacks, none missing, every kind as it says."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import earlid
from jsonschema import Draft202012Validator

SCHEMA = json.loads((Path(earlid.__file__).parent / "output_schema.json").read_text())


def closed(part: Any) -> Any:
    """The schema without the room that it leaves for names of later versions."""
    if isinstance(part, list):
        return [closed(item) for item in part]
    if not isinstance(part, dict):
        return part
    values = {name: closed(value) for name, value in part.items()}
    return values | ({"additionalProperties": False} if part.get("type") == "object" and "required" in part else {})


@cache
def _validator(form: str) -> Draft202012Validator:
    assert form in SCHEMA["$defs"], form
    return Draft202012Validator(closed(SCHEMA) | {"$ref": f"#/$defs/{form}"})


def check_output(form: str, value: Any) -> Any:
    """The value, when it is what the schema says of a verb: a name of its `$defs`."""
    _validator(form).validate(value)
    return value


def parse_output(form: str, text: str) -> Any:
    """A document that a verb printed."""
    return check_output(form, json.loads(text))


def parse_lines(form: str, text: str) -> list[Any]:
    """Documents that a verb printed, one a line."""
    return [parse_output(form, line) for line in text.splitlines()]
