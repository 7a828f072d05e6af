# SPDX-License-Identifier: MIT
"""Where this platform keeps a user's data, configuration and caches of Earlid. RuntimeError where no home folder is known."""

import os
import sys
from pathlib import Path


def data() -> Path:
    """The folder of the default ledger and the keys."""
    return _folder("XDG_DATA_HOME", ".local/share", "user_data_dir")


def config() -> Path:
    """The folder of `config.toml`."""
    return _folder("XDG_CONFIG_HOME", ".config", "user_config_dir")


def cache() -> Path:
    """The folder of what can be downloaded or computed again."""
    return _folder("XDG_CACHE_HOME", ".cache", "user_cache_dir")


def _folder(variable: str, below_home: str, elsewhere: str) -> Path:
    chosen, home = os.environ.get(variable, ""), os.environ.get("HOME", "")
    if sys.platform == "linux" and home.startswith("/"):  # loading platformdirs takes a tenth of a start
        return (Path(chosen) if chosen.startswith("/") else Path(home, below_home)) / "earlid"
    import platformdirs

    return Path(getattr(platformdirs, elsewhere)("earlid", appauthor=False))
