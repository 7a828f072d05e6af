# SPDX-License-Identifier: MIT
"""A chip's file system for the virtual board: an ESP32's machine code does not run here, so that of the same sources for a PC.

Every other byte stays as the chip would get it.
"""

from __future__ import annotations

from earlid import filesystem, firmware
from earlid.flash import firmware_build
from earlid.flash.content import ACTIVE
from earlid.flash.firmware_build import ESP32_ARCH, RECIPE_SUFFIX

ARCH = "x64"


def for_this_processor(file_system: bytes) -> bytes:
    """The file system with the compiled files of the build in force replaced in place, under the same names.

    Args:
        file_system: of a chip, as `one_file.inspect` gives it.

    Raises:
        ValueError: when what it holds was not compiled of the sources that are here.
        littlefs.LittleFSError: when it is no file system.
    """
    files = filesystem.read_files(file_system)
    directory, _, _ = files.get(ACTIVE, b"").decode(errors="replace").partition(" ")
    chip = {path.removeprefix(directory + "/"): data for path, data in files.items() if path.startswith(directory + "/")}
    recipe = next((path.removesuffix(RECIPE_SUFFIX) for path in chip if path.endswith(RECIPE_SUFFIX)), firmware.RECIPES[0])
    build = firmware_build.build(firmware.root(), ESP32_ARCH, recipe) if recipe in firmware.RECIPES else None
    if not build or chip != build.files:
        raise ValueError("this file system holds a firmware that was not compiled of the sources that are here")
    here = firmware_build.build(firmware.root(), ARCH, recipe)
    return filesystem.amend(file_system, {f"{directory}/{path}": data for path, data in here.files.items()})
