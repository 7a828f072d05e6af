# SPDX-License-Identifier: MIT
"""Build backend: hatchling, which for a wheel also gets what `hook` makes the wheel's files with; a checkout needs none of it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from hatchling import build
from hatchling.build import *  # noqa: F403


def get_requires_for_build_wheel(config_settings: dict[str, Any] | None = None) -> list[str]:
    """Verbs are loaded for the man page and the completion, networks are compiled."""
    settings = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    return [
        *build.get_requires_for_build_wheel(config_settings),
        *settings["project"]["dependencies"],
        *settings["dependency-groups"]["wheel"],
    ]
