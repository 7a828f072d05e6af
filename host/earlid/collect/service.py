# SPDX-License-Identifier: MIT
"""Service files: `earlid watch` as a systemd unit or a launchd agent, as text."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from xml.sax.saxutils import escape

SYSTEMD = """\
# Save as ~/.config/systemd/user/earlid-watch.service, then:
#   systemctl --user daemon-reload && systemctl --user enable --now earlid-watch
#   loginctl enable-linger $USER     (to run without being logged in)
[Unit]
Description=Earlid: collect the journal of the microphone's lid

[Service]
ExecStart={command}
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
  <key>RunAtLoad</key><true/>
  <!-- 0 is an end that was asked for; anything else (5: it can no longer collect) begins it anew. -->
  <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>
  <key>Umask</key><integer>63</integer>
</dict>
</plist>
"""


def service_file(kind: str, command: Sequence[str]) -> str:
    """The file that makes a command a service.

    Args:
        kind: `systemd`, `launchd`, or `auto` for the one of this operating system.
        command: program and arguments.
    """
    launchd = kind == "launchd" or (kind == "auto" and sys.platform == "darwin")
    return (launchd_plist if launchd else systemd_unit)(command)


def systemd_unit(command: Sequence[str]) -> str:
    """A systemd user unit that runs `command`; quoted as systemd.syntax(7) and systemd.service(5) have it."""
    return SYSTEMD.format(command=" ".join(map(_systemd_word, command)))


def _systemd_word(word: str) -> str:
    word = word.replace("%", "%%").replace("$", "$$")  # else specifiers and variables
    if re.fullmatch(r"[\w@%+=:,./$-]+", word, re.ASCII):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def launchd_plist(command: Sequence[str]) -> str:
    """A launchd agent that runs `command`."""
    return LAUNCHD.format(arguments="\n".join(f"    <string>{escape(word)}</string>" for word in command))
