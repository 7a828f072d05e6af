# SPDX-License-Identifier: MIT
"""Service files: `earlid watch` or `bridge` as a systemd unit or a launchd agent, and a rule for udev, as text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

from earlid.board.port import BOARD_VENDORS

DESCRIPTIONS = {
    "watch": "Earlid: collect the journal of the microphone's lid",
    "bridge": "Earlid: tell an MQTT broker of the microphone's lid",
}
STATE_DIR = "/var/lib/earlid"
WATCHDOG_S = 60  # fed every 2 s

_UNIT = """\
# {how}
[Unit]
Description={description}
{after}
[Service]
Type=notify
NotifyAccess=main
{environment}ExecStart={command}
# Fed only while every thread that works lives.
WatchdogSec={watchdog_s}
# 0 is an end that was asked for; 2 needs a person. Anything else begins it anew.
Restart=on-failure
RestartPreventExitStatus=2
RestartSec=5
TimeoutStopSec=30
{hardening}
[Install]
WantedBy={wanted_by}
"""

_USER = """\
NoNewPrivileges=yes
RestrictSUIDSGID=yes
RestrictRealtime=yes
LockPersonality=yes
UMask=0077
"""

# Reading the clock's state (ntp_adjtime) is of use, so there is no ProtectClock, and its calls are added behind
# @privileged, which takes them away: without any capability they set nothing.
# One user for both services, who share the ledger and the folder by which `bridge` reaches `watch`'s ports.
_SYSTEM = """\
DynamicUser=yes
User=earlid
SupplementaryGroups={group}
StateDirectory=earlid
StateDirectoryMode=0700
RuntimeDirectory=earlid
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=yes
UMask=0077
DevicePolicy=closed
DeviceAllow=char-ttyUSB rw
DeviceAllow=char-ttyACM rw
DeviceAllow=char-ttyAMA rw
DeviceAllow=char-ttyS rw
{network}CapabilityBoundingSet=
AmbientCapabilities=
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
ProtectProc=invisible
ProcSubset=pid
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectHostname=yes
PrivateTmp=yes
PrivateMounts=yes
PrivateUsers=yes
PrivateIPC=yes
RemoveIPC=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
KeyringMode=private
LimitCORE=0
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallFilter=adjtimex clock_adjtime
SystemCallErrorNumber=EPERM
"""

_OFFLINE = "PrivateNetwork=yes\nIPAddressDeny=any\nRestrictAddressFamilies=AF_UNIX\n"
_ONLINE = "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6\n"

_HOW_USER = """\
Save as ~/.config/systemd/user/{name}.service, then:
#   systemctl --user daemon-reload && systemctl --user enable --now {name}
#   loginctl enable-linger $USER     (to run without being logged in)"""
_HOW_SYSTEM = """\
Save as /etc/systemd/system/{name}.service, then:
#   systemctl daemon-reload && systemctl enable --now {name}
# It runs as a user of its own, which owns {state}."""

_LAUNCHD = """\
<?xml version="1.0" encoding="UTF-8"?>
<!-- Save as ~/Library/LaunchAgents/{label}.plist, then:
     launchctl bootstrap gui/$(id -u) ~/Library/LaunchAgents/{label}.plist -->
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key><string>{label}</string>
  <key>ProgramArguments</key>
  <array>
{arguments}
  </array>
{environment}  <key>RunAtLoad</key><true/>
  <!-- 0 is an end that was asked for; anything else begins it anew. -->
  <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>
  <key>Umask</key><integer>63</integer>
</dict>
</plist>
"""


class ServiceCall(NamedTuple):
    """How `watch` or `bridge` is to run.

    Attributes:
        verb: of DESCRIPTIONS.
        command: program and arguments; `credential` names a file of `files` in them.
        environment: variables that it gets, beside the few that services have.
        secrets: variables that stand in a file of their own.
        network: it needs one: for a database server, hooks, or ports over the network.
        group: to whom ports belong.
        files: of a system service: name -> file that systemd reads as root and lays where only the service sees it.
    """

    verb: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    secrets: Mapping[str, str] = {}
    network: bool = False
    group: str = "dialout"
    files: Mapping[str, Path] = {}

    @property
    def name(self) -> str:
        """Of the unit."""
        return f"earlid-{self.verb}"


def credential(name: str) -> str:
    """In a command: where a system service finds a file of its `files`, which only root need be able to read."""
    return f"${{CREDENTIALS_DIRECTORY}}/{name}"


def label(verb: str) -> str:
    """Of a launchd agent."""
    return f"org.earlid.{verb}"


def user_unit(call: ServiceCall, secrets: str = "") -> str:
    """A systemd user unit, quoted as systemd.syntax(7) and systemd.service(5) have it; `secrets`: the path of that file."""
    return _unit(call, _HOW_USER.format(name=call.name), "", call.environment, secrets, _USER, "default.target")


def system_unit(call: ServiceCall, secrets: str = "") -> str:
    """A hardened systemd system unit, whose own user may open ports and has STATE_DIR; arguments as of `user_unit`."""
    own = {"EARLID_DATA_DIR": STATE_DIR, "EARLID_RUNTIME": "/run/earlid"}
    after = "After=network-online.target\nWants=network-online.target\n" if call.network else ""
    if call.verb != "watch":
        after += "After=earlid-watch.service\n"
    loaded = "".join(f"LoadCredential={name}:{str(path).replace('%', '%%')}\n" for name, path in call.files.items())
    hardening = loaded + _SYSTEM.format(group=call.group, network=_ONLINE if call.network else _OFFLINE)
    how = _HOW_SYSTEM.format(name=call.name, state=STATE_DIR)
    return _unit(call, how, after, {**call.environment, **own}, secrets, hardening, "multi-user.target")


def _unit(
    call: ServiceCall, how: str, after: str, environment: Mapping[str, str], secrets: str, hardening: str, wanted_by: str
) -> str:
    lines = [f"Environment={_word(f'{name}={value}')}\n" for name, value in environment.items()]
    lines += [f"EnvironmentFile={secrets.replace('%', '%%')}\n"] if secrets else []
    laid = {credential(name) for name in call.files}
    command = " ".join(word if word in laid else _word(word.replace("$", "$$")) for word in call.command)  # else variables
    return _UNIT.format(
        how=how, description=DESCRIPTIONS[call.verb], after=after, environment="".join(lines), command=command,
        watchdog_s=WATCHDOG_S, hardening=hardening, wanted_by=wanted_by,
    )  # fmt: skip


def _word(word: str) -> str:
    word = word.replace("%", "%%")  # else specifiers
    if re.fullmatch(r"[\w@%+=:,./$-]+", word, re.ASCII):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def environment_file(values: Mapping[str, str]) -> str:
    """Variables as systemd's EnvironmentFile has them: between double quotes, where a backslash escapes."""
    escaped = {name: re.sub(r'([\\"`$])', r"\\\1", value) for name, value in values.items()}
    return "".join(f'{name}="{value}"\n' for name, value in escaped.items())


def launchd_plist(call: ServiceCall) -> str:
    """A launchd agent."""
    variables = "".join(f"<key>{escape(name)}</key><string>{escape(text)}</string>" for name, text in call.environment.items())
    return _LAUNCHD.format(
        label=label(call.verb),
        arguments="\n".join(f"    <string>{escape(word)}</string>" for word in call.command),
        environment=f"  <key>EnvironmentVariables</key><dict>{variables}</dict>\n" if variables else "",
    )


def udev_rules() -> str:
    """A rule by which whoever sits at the computer may open boards' ports, without being in a group."""
    vendors = "|".join(f"{vendor:04x}" for vendor in sorted(BOARD_VENDORS))
    return (
        "# Save as /etc/udev/rules.d/70-earlid.rules, then: udevadm control --reload && udevadm trigger --subsystem-match=tty\n"
        "# USB serial chips of ESP32 boards: whoever sits at this computer may open their ports.\n"
        f'ACTION!="remove", SUBSYSTEM=="tty", SUBSYSTEMS=="usb", ATTRS{{idVendor}}=="{vendors}", TAG+="uaccess"\n'
    )
