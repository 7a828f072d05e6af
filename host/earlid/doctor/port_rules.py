# SPDX-License-Identifier: MIT
"""Rules for the way to a board: cable, driver, rights, other programs, boot loader, other firmware. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from earlid import firmware
from earlid.board.port import NO_SERIAL_PORT
from earlid.doctor.model import NOTICE, Diagnosis, ExaminedPort, Observation, Rule

CH340 = "1a86:7523"
ESPRESSIF_VENDOR = "303a:"

NO_PORT_DO = {
    "linux": "Try another cable, one that came with a phone that syncs over it; then another USB port. `dmesg | tail` "
    "should show a new ttyUSB0 or ttyACM0 when you plug it in.",
    "darwin": "Try another cable, one that can carry data; then another USB port. In System Information > USB a device "
    "must appear. If one does and no /dev/cu.* comes with it, install the maker's driver (CH34x: WCH; CP210x: Silicon "
    "Labs), allow it under Privacy & Security, and restart.",
    "win32": "Try another cable, one that can carry data; then another USB port. If Device Manager shows the device "
    "with a yellow mark, install the maker's driver (CH340: WCH; CP210x: Silicon Labs; FT232: FTDI).",
}
DRIVER_DO = {
    "linux": "Load the driver: `sudo modprobe cp210x ch341 ftdi_sio`. On Ubuntu it is in linux-modules-extra.",
    "darwin": "Install the maker's driver (CH34x: WCH; CP210x: Silicon Labs), allow it under Privacy & Security, restart.",
    "win32": "Install the maker's driver (CH340: WCH; CP210x: Silicon Labs; FT232: FTDI) and plug the board in again.",
}
PERMISSION_DO = {
    "linux": "Join the group once: `sudo usermod -aG {group} $USER`, then log out and in. Do not run earlid with sudo.",
    "darwin": "Close the program that made the port private, unplug the board and plug it in again.",
    "win32": "Close the program that has the port, unplug the board and plug it in again.",
}
BUSY_DO = {
    "linux": "Close that program. `fuser {port}` names it when this list does not.",
    "darwin": "Close that program. `lsof {port}` names it when this list does not.",
    "win32": "Close that program: a serial monitor, an IDE, a slicer or a second earlid.",
}
NORMAL_START = 0x10  # in the boot mode that an ESP32 prints: GPIO 0 was high, 0x13 for example
BOOT_PIN_DO = (
    "Take BOOT (GPIO 0) off ground, take everything off GPIO 2, 12 and 15, and press reset. A board that cannot be "
    "written needs BOOT held while `earlid flash` starts."
)


def _text(texts: dict[str, str], platform: str) -> str:
    return texts.get(platform, texts["linux"])


def no_port(observation: Observation) -> Iterator[Diagnosis]:
    """Nothing is plugged in as far as this computer can tell."""
    if not observation.ports and not observation.system.usb_without_port:
        yield Diagnosis(
            "no-port", "", "No USB serial device is there.",
            "Either no board is plugged in, or its cable carries power only (the board's light burns all the same), or "
            "its USB chip has no driver.",
            _text(NO_PORT_DO, observation.system.platform),
        )  # fmt: skip


def driver(observation: Observation) -> Iterator[Diagnosis]:
    """A USB chip of a board is there without a port."""
    for chip in observation.system.usb_without_port:
        if chip == CH340 and "brltty" in observation.system.interfering:
            yield Diagnosis(
                "brltty", "", f"The USB chip {chip} (CH340) has no port, and brltty runs.",
                "brltty, a service for Braille displays, takes this chip seconds after it is plugged in.",
                "If you use no Braille display: `sudo apt remove brltty`, then plug the board in again. If you do: "
                "mask its rule for 1a86:7523 in /usr/lib/udev/rules.d.",
            )  # fmt: skip
        else:
            yield Diagnosis(
                "no-driver", "", f"The USB chip {chip} is plugged in, but has no serial port.",
                "Its driver is not loaded or not installed.", _text(DRIVER_DO, observation.system.platform),
            )  # fmt: skip


def permission(observation: Observation) -> Iterator[Diagnosis]:
    """The user may not open the port."""
    for port in observation.ports:
        name = port.probe.port
        if port.probe.state != "no-permission":
            continue
        if port.access.after_login:
            yield Diagnosis(
                "login-again", name, f"You are in the group {port.access.group}, but this login does not know it yet.",
                "Groups are read at login.", "Log out and in again (or restart); a new terminal is not enough.",
            )  # fmt: skip
        else:
            group = port.access.group or "dialout"
            yield Diagnosis(
                "permission", name, f"No permission to open {name}.", f"It belongs to the group {group}, and you are not in it.",
                _text(PERMISSION_DO, observation.system.platform).format(group=group),
            )  # fmt: skip


def busy(observation: Observation) -> Iterator[Diagnosis]:
    """Another program has the port."""
    for port in observation.ports:
        probe = port.probe
        if probe.state != "busy":
            continue
        if probe.hello:
            yield Diagnosis(
                "busy-earlid", probe.port, f"{probe.port} is held by another earlid, which answers for the board.",
                "That is as it should be: one program logs a board.", "Nothing. `earlid safe` works all the same.", NOTICE,
            )  # fmt: skip
            continue
        who = probe.holder or "Another program"
        yield Diagnosis(
            "busy", probe.port, f"{who} has {probe.port} open.", "Two programs cannot share a serial port.",
            _text(BUSY_DO, observation.system.platform).format(port=probe.port),
        )  # fmt: skip


def shared(observation: Observation) -> Iterator[Diagnosis]:
    """Another program has the port open beside this one, because it took no lock."""
    for port in observation.ports:
        probe = port.probe
        if probe.holder and probe.state != "busy":
            yield Diagnosis(
                "shared", probe.port, f"{probe.holder} has {probe.port} open too, without a lock.",
                "What the board sends goes to one or the other: answers and records arrive in pieces, or not at all.",
                "Close that program, then run `earlid doctor` again.",
            )  # fmt: skip


def modem_manager(observation: Observation) -> Iterator[Diagnosis]:
    """ModemManager talks to every new serial port."""
    if "ModemManager" in observation.system.interfering and observation.ports:
        yield Diagnosis(
            "modem-manager", "", "ModemManager runs.",
            "It opens every new serial port for some seconds and sends it modem commands: a port may be busy right "
            "after it is plugged in.",
            'Wait ten seconds after plugging in. For good: a udev rule with ENV{ID_MM_DEVICE_IGNORE}="1" for the board, or '
            "`sudo systemctl disable --now ModemManager` if you have no modem.", NOTICE,
        )  # fmt: skip


def brltty_runs(observation: Observation) -> Iterator[Diagnosis]:
    """brltty will take a CH340 that still has its port."""
    if "brltty" in observation.system.interfering and any(port.probe.vid_pid == CH340 for port in observation.ports):
        yield Diagnosis(
            "brltty-soon", "", "brltty runs, and a CH340 is plugged in.",
            "brltty may take the port away seconds after it is plugged in.",
            "If you use no Braille display: `sudo apt remove brltty`.", NOTICE,
        )  # fmt: skip


def mac_name(observation: Observation) -> Iterator[Diagnosis]:
    """On macOS the tty.* twin of a port waits for a modem's carrier."""
    for port in observation.ports:
        if observation.system.platform == "darwin" and port.probe.port.startswith("/dev/tty."):
            other = port.probe.port.replace("/dev/tty.", "/dev/cu.")
            yield Diagnosis(
                "mac-tty", port.probe.port, f"The port is {port.probe.port}.",
                "On macOS this name waits for a carrier that no board sends.", f"Use {other}.",
            )  # fmt: skip


def wrong_chip(observation: Observation) -> Iterator[Diagnosis]:
    """A chip that speaks USB itself is no plain ESP32."""
    for port in observation.ports:
        if port.probe.vid_pid.startswith(ESPRESSIF_VENDOR):
            yield Diagnosis(
                "wrong-chip", port.probe.port, f"The USB device is Espressif's own ({port.probe.vid_pid}).",
                "Only newer chips (S2, S3, C3, ...) have USB inside; Earlid's circuit is for the plain ESP32.",
                "Take an ESP32 module (ESP32-WROOM-32 or alike), or change the pins in firmware/lid/circuit.py.",
            )  # fmt: skip


def gone(observation: Observation) -> Iterator[Diagnosis]:
    """A port that cannot be opened for no known reason, or vanished."""
    for port in observation.ports:
        if port.probe.state == "gone" and NO_SERIAL_PORT in port.probe.error:
            yield Diagnosis(
                "no-serial-port", "", f"{port.probe.port} is a file or a device of another kind.",
                "No board can be behind it.", "Look for the board's port with `earlid list`.",
            )  # fmt: skip
        elif port.probe.state == "gone":
            yield Diagnosis(
                "gone", port.probe.port, port.probe.error or f"{port.probe.port} cannot be opened.",
                "The device was unplugged, its cable is loose, or its supply breaks down when it starts.",
                "Plug it in directly, not through a hub, with a short cable; see `earlid list`.",
            )  # fmt: skip


def _boot_text(port: ExaminedPort, platform: str) -> Iterator[Diagnosis]:
    probe, text = port.probe, port.probe.console_text
    name = probe.port
    if probe.state == "bootloader":
        yield Diagnosis(
            "boot-loader", name, "The chip waits in its boot loader.",
            "It was started with BOOT (GPIO 0) held low, by a button, a wire or the serial program before.",
            "Press reset. To put Earlid on it, run `earlid flash` now. If it comes up like this every time: " + BOOT_PIN_DO,
        )  # fmt: skip
    mode = re.search(r"boot:0x([0-9a-f]+)", text)
    if (mode and not int(mode[1], 16) & NORMAL_START) or "Wrong boot mode" in text:
        yield Diagnosis(
            "boot-mode", name, "The chip's boot mode is not the one that was asked for (0x13 is a normal start).",
            "BOOT (GPIO 0) was not where it should be at the reset.", BOOT_PIN_DO,
        )  # fmt: skip
    if "Brownout detector" in text or "BROWN_OUT" in text:
        yield Diagnosis(
            "brown-out-now", name, "The chip reports that its supply broke down.",
            "The USB port, hub or cable cannot give the current, or something on the 3.3 V rail draws too much.",
            "Use a short, thick cable directly at the computer or a 1 A supply; take the guarded microphone off and "
            "try again.",
        )  # fmt: skip
    if "invalid header: 0xffffffff" in text:
        yield Diagnosis(
            "empty", name, "The chip finds no program in its flash.", "It is new, or was erased.", "Run `earlid flash`.",
        )  # fmt: skip
    elif "flash read err" in text or "invalid header" in text or "csum err" in text:
        yield Diagnosis(
            "flash-unreadable", name, "The chip cannot read the program in its flash.",
            "It was interrupted while being written, or GPIO 6 to 12 are wired to something.",
            "Take everything off GPIO 6 to 12, then run `earlid flash --micropython`.",
        )  # fmt: skip


def boot_messages(observation: Observation) -> Iterator[Diagnosis]:
    """The chip's boot messages show a fault."""
    for port in observation.ports:
        yield from _boot_text(port, observation.system.platform)


def other_firmware(observation: Observation) -> Iterator[Diagnosis]:
    """Something else than Earlid runs there."""
    for port in observation.ports:
        probe = port.probe
        if probe.state == "micropython":
            error = re.search(r"earlid: (.+)", probe.console_text)
            if error:
                yield Diagnosis(
                    "earlid-stopped", probe.port, f"MicroPython's prompt, after: {error[1].strip().rstrip('.')}.",
                    "Earlid's firmware is there but did not start; the lid is closed.", "Run `earlid flash`.",
                )  # fmt: skip
            else:
                yield Diagnosis(
                    "micropython", probe.port, "MicroPython's prompt, and no Earlid.",
                    "The board is bare, in maintenance mode, or carries another project.",
                    "Run `earlid flash`; it asks before it replaces another project's main.py. Out of maintenance "
                    "mode: reset.",
                    NOTICE,
                )  # fmt: skip
        elif probe.state == "silent":
            words = " ".join(probe.console_text.split())[-60:]
            yield Diagnosis(
                "silent", probe.port, f"No answer; heard {words!r}." if words else "No answer, and nothing heard.",
                "Another program runs on the board, it hangs, or it is no ESP32 at all.",
                "Press its reset button and run `earlid doctor` again. To put Earlid on it: `earlid flash`.",
            )  # fmt: skip


def other_release(observation: Observation) -> Iterator[Diagnosis]:
    """A MicroPython release that the firmware's memory was not measured on."""
    measured = ".".join(map(str, firmware.MICROPYTHON))
    for port in observation.ports:
        banner = re.search(r"MicroPython v(\d+(?:\.\d+)+)\S* on .* with ESP32", port.probe.console_text)
        if banner and banner[1] != measured:
            yield Diagnosis(
                "other-release", port.probe.port, f"MicroPython {banner[1]}.",
                f"The firmware's memory was measured on {measured} only: on another release it may start without its word.",
                "Run `earlid flash --micropython`.", NOTICE,
            )  # fmt: skip


RULES: tuple[Rule, ...] = (
    no_port, driver, permission, busy, shared, wrong_chip, mac_name, gone, boot_messages, other_firmware, other_release,
    modem_manager, brltty_runs,
)  # fmt: skip
