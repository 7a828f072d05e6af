# SPDX-License-Identifier: MIT
"""Service files: `earlid watch` as a systemd unit or a launchd agent, as text."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

SYSTEMD = """\
# Save as ~/.config/systemd/user/earlid-watch.service, then:
#   systemctl --user daemon-reload && systemctl --user enable --now earlid-watch
#   loginctl enable-linger $USER     (to run without being logged in)
[Unit]
Description=Earlid: collect the journal of the microphone's lid

[Service]
{environment}ExecStart={command}
# 0 is an end that was asked for; 2 needs a person. Anything else (5: it can no longer collect) begins it anew.
Restart=on-failure
RestartPreventExitStatus=2
RestartSec=5
TimeoutStopSec=30
NoNewPrivileges=yes
UMask=0077

[Install]
WantedBy=default.target
"""

LAUNCHD = """\
<?xml version="1.0" encoding="UTF-8"?>
<!-- Save as ~/Library/LaunchAgents/org.earlid.watch.plist, then:
     launchctl bootstrap gui/$(id -u) ~/Library/LaunchAgents/org.earlid.watch.plist -->
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
  <key>Label</key><string>org.earlid.watch</string>
  <key>ProgramArguments</key>
  <array>
{arguments}
  </array>
{environment}  <key>RunAtLoad</key><true/>
  <!-- 0 is an end that was asked for; anything else (5: it can no longer collect) begins it anew. -->
  <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>
  <key>Umask</key><integer>63</integer>
</dict>
</plist>
"""


def service_file(kind: str, command: Sequence[str], environment: Mapping[str, str]) -> str:
    """The file that makes a command a service.

    Args:
        kind: `systemd`, `launchd`, or `auto` for the one of this operating system.
        command: program and arguments.
        environment: variables that it gets, beside the few that services have.
    """
    launchd = kind == "launchd" or (kind == "auto" and sys.platform == "darwin")
    return (launchd_plist if launchd else systemd_unit)(command, environment)


def systemd_unit(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """A systemd user unit that runs `command`; quoted as systemd.syntax(7) and systemd.service(5) have it."""
    variables = [f"Environment={_systemd_word(f'{name}={value}')}\n" for name, value in environment.items()]
    words = [_systemd_word(word.replace("$", "$$")) for word in command]  # else variables
    return SYSTEMD.format(environment="".join(variables), command=" ".join(words))


def _systemd_word(word: str) -> str:
    word = word.replace("%", "%%")  # else specifiers
    if re.fullmatch(r"[\w@%+=:,./$-]+", word, re.ASCII):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def launchd_plist(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """A launchd agent that runs `command`."""
    variables = "".join(f"<key>{escape(name)}</key><string>{escape(value)}</string>" for name, value in environment.items())
    return LAUNCHD.format(
        arguments="\n".join(f"    <string>{escape(word)}</string>" for word in command),
        environment=f"  <key>EnvironmentVariables</key><dict>{variables}</dict>\n" if variables else "",
    )
