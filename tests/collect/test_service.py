# SPDX-License-Identifier: MIT
"""Services of `watch` and `bridge`: systemd and launchd read the files as they are meant, and their command runs and ends."""

from __future__ import annotations

import os
import plistlib
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time

import pytest
from earlid.board.port import BOARD_VENDORS
from earlid.cli import main
from earlid.collect import service_install
from earlid.collect.service import ServiceCall, system_unit, udev_rules
from earlid.collect.supervisor import Supervisor
from earlid.ledger.keys import read_keys, save_key
from earlid.ledger.location import locate
from earlid.ledger.reader import Reader
from earlid.ledger.store import Ledger

from tests.board.fake_board import FakeBoard, seal_records
from tests.collect.watching import LIMIT_S, program, wait_until

BOARD = "00112233aabbccdd"
ODD = "a \"b\" 'c' $HOME 100% \\ <&> ü"


def unit(capsys, kind, *words):
    assert main(["watch", "--service", kind, *words]) == 0
    return capsys.readouterr().out


def systemd_words(text):
    """The command of a unit, read by systemd's rules as far as they are a shell's."""
    line = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    words = [word.replace("$$", "$").replace("%%", "%") for word in shlex.split(line.removeprefix("ExecStart="))]
    return words


def launchd_words(text):
    return plistlib.loads(text.encode())["ProgramArguments"]


def variables(text, kind):
    """The environment of a service."""
    if kind == "launchd":
        return plistlib.loads(text.encode()).get("EnvironmentVariables", {})
    words = [word for line in text.splitlines() if line.startswith("Environment=") for word in shlex.split(line)]
    return dict(word.removeprefix("Environment=").replace("%%", "%").split("=", 1) for word in words)


@pytest.mark.parametrize("kind", ["systemd", "launchd"])
def test_service_carries_what_it_was_called_with_and_full_paths(capsys, monkeypatch, tmp_path, kind):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EARLID_DATA_DIR", ODD)
    monkeypatch.setenv("EARLID_CACHE", "~/c")
    monkeypatch.setenv("EARLID_PORT", "ttyUSB7")
    monkeypatch.setenv("EARLID_MQTT_PASSWORD", "of another verb")
    monkeypatch.setenv("EARLID_SEED", "nothing of ours")
    found = variables(unit(capsys, kind), kind)
    assert found.pop("EARLID_RUNTIME")  # of the tests
    assert found == {
        "EARLID_DATA_DIR": str(tmp_path / ODD), "EARLID_CACHE": os.path.expanduser("~/c"), "EARLID_PORT": "ttyUSB7",
        "EARLID_CONFIG": os.devnull,
    }  # fmt: skip
    monkeypatch.delenv("EARLID_DATA_DIR")
    assert "EARLID_DATA_DIR" not in variables(unit(capsys, kind), kind)


@pytest.mark.parametrize(("kind", "words_of"), [("systemd", systemd_words), ("launchd", launchd_words)])
def test_service_file_quotes_every_argument(capsys, kind, words_of):
    words = words_of(unit(capsys, kind, "-p", ODD, "--on", "open:word", ODD, "--ledger", f"/tmp/{ODD}.sqlite"))
    assert words == [
        sys.executable, "-m", "earlid.cli", "watch", "--quiet", "--port", ODD, "--on", "open:word", ODD,
        "--ledger", f"/tmp/{ODD}.sqlite",
    ]  # fmt: skip


URL = "postgresql+psycopg://me:pass%20w$ord@host/name"
SYSTEM = ServiceCall("watch", ("/usr/bin/env", "earlid", "watch", "--quiet"), {"EARLID_PORT": ODD})


def analyze(*words):
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd here (apt-get install systemd)")
    return subprocess.run(["systemd-analyze", "--no-pager", *words], capture_output=True, text=True, check=False)


def test_systemd_analyze_accepts_the_user_unit(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("EARLID_DATA_DIR", str(tmp_path / ODD))
    path = tmp_path / "earlid-watch.service"
    good = unit(capsys, "systemd", "--ledger", f"/tmp/{ODD}.sqlite")
    for text, fine in ((good, True), (good.replace("Restart=", "Restrat="), False), (good.replace(sys.executable, "/no"), False)):
        path.write_text(text)
        done = analyze("--user", "verify", str(path))
        complaints = [line for line in done.stderr.splitlines() if path.name in line]
        assert (done.returncode == 0 and not complaints) == fine, done.stderr


@pytest.mark.parametrize(("network", "most"), [(False, 10), (True, 20)])
def test_systemd_analyze_finds_the_system_unit_right_and_safe(tmp_path, network, most):
    path = tmp_path / "earlid-watch.service"
    path.write_text(system_unit(SYSTEM._replace(network=network), "/etc/earlid/watch.env"))
    done = analyze("verify", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    # Tenths of its exposure level, of 10; above the threshold it ends with an error.
    done = analyze("security", "--offline=true", f"--threshold={most}", str(path))
    assert done.returncode == 0, done.stdout
    assert analyze("security", "--offline=true", "--threshold=3", str(path)).returncode != 0
    assert ("PrivateNetwork=yes" in path.read_text()) != network


BRIDGE = ["bridge", "mqtt", "--broker", "mqtts://broker", "--board", ODD, "--device-discovery"]
FILES = ["--ca", "/srv/ca.pem", "--cert", "/srv/cert.pem", "--key", "/srv/key.pem", "--credentials", "/srv/word"]


def test_bridges_units_are_right_and_carry_what_it_was_called_with(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("EARLID_HOOKS", "open=nothing of the bridge's")
    monkeypatch.setenv("EARLID_MQTT_BASE", "home")
    monkeypatch.delenv("EARLID_DATA_DIR")
    start = [sys.executable, "-m", "earlid.cli", *BRIDGE[:4], "--device-discovery", *BRIDGE[4:6]]
    path = tmp_path / "earlid-bridge.service"
    for kind in ("systemd", "systemd-system"):
        assert main([*BRIDGE, *FILES, "--service", kind]) == 0
        text = capsys.readouterr().out
        path.write_text(text)
        done = analyze(*(["--user"] if kind == "systemd" else []), "verify", str(path))
        assert done.returncode == 0, done.stderr
        assert not [line for line in done.stderr.splitlines() if path.name in line], done.stderr
        words = systemd_words(text)
        assert words[: len(start)] == start
        environment = variables(text, kind)
        assert environment["EARLID_MQTT_BASE"] == "home"
        assert "EARLID_HOOKS" not in environment
        if kind == "systemd":
            assert words[len(start) :] == FILES
            continue
        laid = ["${CREDENTIALS_DIRECTORY}/" + option.removeprefix("--") for option in FILES[::2]]
        assert (words[len(start) :: 2], words[len(start) + 1 :: 2]) == (FILES[::2], laid)
        loaded = dict(
            line.removeprefix("LoadCredential=").split(":", 1) for line in text.splitlines() if line.startswith("LoadC")
        )
        assert {f"--{name}": file for name, file in loaded.items()} == dict(zip(FILES[::2], FILES[1::2], strict=True))
        assert "User=earlid\n" in text
        done = analyze("security", "--offline=true", "--threshold=20", str(path))
        assert done.returncode == 0, done.stdout
    assert main([*BRIDGE, "--keyring", "--service", "systemd-system"]) == 2
    assert "no keyring" in capsys.readouterr().err


def test_bridges_service_is_installed_with_its_password_apart_and_removed(commands, tmp_path, capsys, monkeypatch):
    config = tmp_path / "home" / ".config"
    file, secrets = config / "systemd/user/earlid-bridge.service", config / "earlid/bridge.env"
    monkeypatch.setenv("EARLID_MQTT_USER", "me")
    monkeypatch.setenv("EARLID_MQTT_PASSWORD", "se$cret")
    assert main([*BRIDGE, "--service", "systemd", "--install"]) == 0
    assert commands()[-1] == "systemctl --user restart earlid-bridge.service"
    assert secrets.read_text() == 'EARLID_MQTT_USER="me"\nEARLID_MQTT_PASSWORD="se\\$cret"\n'
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    assert "cret" not in file.read_text()
    assert main([*BRIDGE, "--service", "launchd"]) == 2
    assert main([*BRIDGE, "--service", "systemd", "--install", "--credentials", str(tmp_path / "none")]) == 2
    assert f"cannot read {tmp_path}/none" in capsys.readouterr().err
    assert main(["bridge", "mqtt", "--service", "systemd", "--uninstall"]) == 0
    assert commands() == ["systemctl --user disable --now earlid-bridge.service", "systemctl --user daemon-reload"]
    assert not list(config.rglob("*.*s"))


def test_no_password_is_in_unit_or_command(capsys, monkeypatch):
    monkeypatch.setenv("EARLID_LEDGER", URL)
    monkeypatch.delenv("EARLID_DATA_DIR")
    for kind in ("systemd", "systemd-system"):
        text = unit(capsys, kind)
        assert "ord@host" not in text
        assert re.search("^EnvironmentFile=/.*/earlid/watch.env$", text, re.M)
        assert "--ledger" not in systemd_words(text)
    assert main(["watch", "--service", "launchd"]) == 2
    assert ".pgpass" in capsys.readouterr().err
    monkeypatch.setenv("EARLID_LEDGER", "postgresql://me@host/name")
    assert systemd_words(unit(capsys, "systemd"))[-2:] == ["--ledger", "postgresql+psycopg://me@host/name"]


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """What was asked of service managers, none of which is asked."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("systemctl", "udevadm", "launchctl"):
        (folder / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/asked\n')
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home" / ".config"))

    def asked():
        lines = (tmp_path / "asked").read_text().splitlines()
        (tmp_path / "asked").unlink()
        return lines

    return asked


def test_user_service_is_installed_and_removed(commands, tmp_path, capsys, monkeypatch):
    config = tmp_path / "home" / ".config"
    file, secrets = config / "systemd/user/earlid-watch.service", config / "earlid/watch.env"
    monkeypatch.setenv("EARLID_LEDGER", URL)
    assert main(["watch", "--service", "systemd", "--install", "-p", "kitchen"]) == 0
    assert capsys.readouterr().out == ""
    begun = [
        "systemctl --user daemon-reload", "systemctl --user enable earlid-watch.service",
        "systemctl --user restart earlid-watch.service",
    ]  # fmt: skip
    assert commands() == begun
    assert systemd_words(file.read_text())[-2:] == ["--port", "kitchen"]
    assert f"EnvironmentFile={secrets}\n" in file.read_text()
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    assert secrets.read_text() == 'EARLID_LEDGER="postgresql+psycopg://me:pass%20w\\$ord@host/name"\n'
    monkeypatch.setenv("EARLID_LEDGER", str(tmp_path / "l.sqlite"))
    assert main(["watch", "--service", "systemd", "--install"]) == 0  # once more, otherwise
    assert commands() == begun
    assert not secrets.exists()
    assert main(["watch", "--service", "systemd", "--uninstall"]) == 0
    assert commands() == ["systemctl --user disable --now earlid-watch.service", "systemctl --user daemon-reload"]
    assert not file.exists()
    assert main(["watch", "--service", "systemd", "--uninstall"]) == 2
    assert "nothing to remove" in capsys.readouterr().err


def test_service_manager_that_fails_is_named(commands, tmp_path, capsys):
    (tmp_path / "bin" / "systemctl").write_text("#!/bin/sh\necho Failed to connect to bus >&2; exit 1\n")
    assert main(["watch", "--service", "systemd", "--install"]) == 1
    assert "`systemctl --user daemon-reload` failed: Failed to connect to bus" in capsys.readouterr().err


def test_place_that_cannot_be_written_is_a_sentence(commands, tmp_path, capsys, monkeypatch):
    place = tmp_path / "home" / ".config"
    place.mkdir(parents=True)
    (place / "systemd").touch()
    assert main(["watch", "--service", "systemd", "--install"]) == 1
    assert f"cannot write {place}/systemd/user/earlid-watch.service: Not a directory" in capsys.readouterr().err
    (place / "systemd").unlink()
    (place / "systemd/user/earlid-watch.service").mkdir(parents=True)
    assert main(["watch", "--service", "systemd", "--uninstall"]) == 1
    assert "cannot remove " in capsys.readouterr().err


def test_system_service_and_udev_rule_are_roots_to_install(commands, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(service_install.os, "geteuid", lambda: 1000)
    for kind in ("systemd-system", "udev"):
        assert main(["watch", "--service", kind, "--install"]) == 2
        assert "only root installs this: `sudo " in capsys.readouterr().err
    monkeypatch.setattr(service_install.os, "geteuid", lambda: 0)
    monkeypatch.setattr(sys, "prefix", "/home/me/venv")
    assert main(["watch", "--service", "systemd-system", "--install"]) == 2
    assert "/home/me/venv is hidden from a system service" in capsys.readouterr().err
    assert not (tmp_path / "asked").exists()
    root = tmp_path / "root"
    service_install.install("systemd-system", "watch", system_unit(SYSTEM), "", root)
    assert commands()[-1] == "systemctl restart earlid-watch.service"
    assert stat.S_IMODE((root / "etc/systemd/system/earlid-watch.service").stat().st_mode) == 0o644
    service_install.uninstall("systemd-system", "watch", root)
    assert commands() == ["systemctl disable --now earlid-watch.service", "systemctl daemon-reload"]
    service_install.install("udev", "watch", udev_rules(), "", root)
    assert commands() == ["udevadm control --reload", "udevadm trigger --subsystem-match=tty"]
    assert (root / "etc/udev/rules.d/70-earlid.rules").read_text() == udev_rules()
    service_install.uninstall("udev", "watch", root)
    assert not list(root.rglob("*.*s"))


def test_launchd_agent_is_installed_and_removed(commands, tmp_path):
    assert main(["watch", "--service", "launchd", "--install"]) == 0
    assert main(["watch", "--service", "launchd", "--install"]) == 0
    path = tmp_path / "home/Library/LaunchAgents/org.earlid.watch.plist"
    assert path.exists()
    assert main(["watch", "--service", "launchd", "--uninstall"]) == 0
    domain = f"gui/{os.getuid()}"
    begin, end = f"launchctl bootstrap {domain} {path}", f"launchctl bootout {domain}/org.earlid.watch"
    assert commands() == [begin, end, begin, end]
    assert not path.exists()


def test_udev_rule_names_every_maker_whose_chips_boards_have(capsys):
    (rule,) = [line for line in unit(capsys, "udev").splitlines() if not line.startswith("#")]
    assert set(re.findall(r'ATTRS{idVendor}=="(.*?)"', rule)[0].split("|")) == {f"{vendor:04x}" for vendor in BOARD_VENDORS}
    assert rule.startswith('ACTION!="remove", SUBSYSTEM=="tty", SUBSYSTEMS=="usb", ')
    assert rule.endswith(', TAG+="uaccess"')


@pytest.mark.parametrize(
    ("words", "variable", "says"),
    [
        (["--ledger", "/srv/l.sqlite"], None, "ledger and keys lie below /var/lib/earlid"),
        ([], ("EARLID_DATA_DIR", "/srv"), "ledger and keys lie below /var/lib/earlid"),
        ([], ("EARLID_CONFIG", "config.toml"), "is hidden from a system service: see /etc/earlid/config.toml"),
    ],
)
def test_system_service_says_what_it_could_not_reach(words, variable, says, capsys, monkeypatch, tmp_path):
    monkeypatch.delenv("EARLID_DATA_DIR")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.toml").touch()
    if variable:
        monkeypatch.setenv(*variable)
    assert main(["watch", "--service", "systemd-system", *words]) == 2
    assert says in capsys.readouterr().err
    monkeypatch.setenv("EARLID_CONFIG", os.devnull)
    monkeypatch.delenv("EARLID_DATA_DIR", raising=False)
    text = unit(capsys, "systemd-system", "--ledger", "/var/lib/earlid/l.sqlite")
    assert variables(text, "systemd")["EARLID_DATA_DIR"] == "/var/lib/earlid"


def test_system_service_reads_the_systems_configuration(capsys, monkeypatch, tmp_path):
    for name in ("EARLID_DATA_DIR", "EARLID_CONFIG"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    place = tmp_path / "system.toml"
    monkeypatch.setattr("earlid.collect.service_call.SYSTEM_CONFIG", str(place))
    monkeypatch.setattr("earlid.collect.service_call.is_hidden", lambda path: False)
    assert "PrivateNetwork=yes" in unit(capsys, "systemd-system")
    monkeypatch.delenv("EARLID_CONFIG")
    place.write_text('[hooks]\nopen = "curl"\n')
    text = unit(capsys, "systemd-system")
    assert variables(text, "systemd")["EARLID_CONFIG"] == str(place)
    assert "PrivateNetwork=yes" not in text, "a webhook needs one"


def test_service_options_go_with_service(capsys):
    assert main(["watch", "--install"]) == 2
    assert main(["watch", "--service", "--once"]) == 2


def test_watchdog_is_fed_only_while_every_collecting_thread_lives(tmp_path, monkeypatch):
    fed = []
    ledger = locate(str(tmp_path / "l.sqlite"))
    with FakeBoard(BOARD, seal_records(BOARD, 1)) as board, Ledger(ledger) as store:
        one = Supervisor(
            ledger, store, lambda: [board.path], lambda event: None, lambda line: None, False, alive=lambda: fed.append(1)
        )
        one.start()
        try:
            (watcher,) = one._watchers.values()
            wait_until(lambda: watcher.status.connected)

            def is_fed():
                before = len(fed)
                one.tick()
                return len(fed) > before

            assert is_fed()
            for place, name in ((type(watcher._link), "reads"), (type(watcher), "collects")):
                with monkeypatch.context() as patch:
                    patch.setattr(place, name, False)
                    assert not is_fed(), name
                assert is_fed()
            moved_s = watcher._moved_s
            with monkeypatch.context() as patch:
                patch.setattr("earlid.collect.watcher.STUCK_S", -1.0)
                assert not is_fed(), "a thread that does not go on"
            wait_until(lambda: watcher._moved_s > moved_s)
            monkeypatch.setattr(one._housekeeper, "is_alive", lambda: False)
            assert not is_fed(), "the one that asks the ledger"
        finally:
            monkeypatch.undo()
            one.stop()


def test_watch_tells_the_service_manager_and_no_hook_can(tmp_path):
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, FakeBoard(BOARD, seal_records(BOARD, 1)) as board:
        manager.bind(address)
        manager.settimeout(LIMIT_S)
        words = ["watch", "-q", "-p", board.path, "--ledger", str(tmp_path / "l.sqlite")]
        hook = ["--on", "here", f'echo "x$NOTIFY_SOCKET" > {tmp_path}/hook']
        with program(*words, *hook, stderr=subprocess.PIPE, env=os.environ | {"NOTIFY_SOCKET": address}) as child:
            assert [manager.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]
            wait_until((tmp_path / "hook").exists)
            child.send_signal(signal.SIGTERM)
            assert child.wait(LIMIT_S) == 0
        said = manager.recv(100)
        while said == b"WATCHDOG=1":
            said = manager.recv(100)
    assert said == b"STOPPING=1"
    assert (tmp_path / "hook").read_text() == "x\n"


@pytest.mark.parametrize(("kind", "words_of"), [("systemd", systemd_words), ("launchd", launchd_words)])
def test_service_command_collects_and_ends_at_sigterm(capsys, tmp_path, kind, words_of):
    ledger = tmp_path / "led ger.sqlite"
    slots = seal_records(BOARD, 12)
    with FakeBoard(BOARD, slots[:10]) as board:
        words = words_of(unit(capsys, kind, "-p", board.path, "--ledger", str(ledger)))
        environment = {"EARLID_DATA_DIR": str(tmp_path / "data"), "HOME": str(tmp_path)}  # a service has little else
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 text=True, cwd="/", env=environment)  # fmt: skip
        try:
            for count in (10, 11):
                until_s = time.monotonic() + 60
                while board.acked < count:
                    assert time.monotonic() < until_s, f"{board.acked} records acknowledged"
                    assert child.poll() is None
                    time.sleep(0.02)
                if count == 10:
                    board.append(slots[10])
            child.send_signal(signal.SIGTERM)
            out, err = child.communicate(timeout=60)
        finally:
            child.kill()
            child.wait()
    assert child.returncode == 0, err
    assert out == ""
    assert len(err.splitlines()) == 2, err  # quiet: that the board is here, its firmware old, and no line a record
    assert "10 records fetched" in err
    assert os.stat(ledger).st_mode & 0o777 == 0o600
    with Reader(locate(str(ledger))) as reader:
        assert reader.rows("SELECT COUNT(*) FROM records") == [(11,)]


def test_key_that_root_pairs_for_a_service_is_the_services(tmp_path, monkeypatch):
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    state = tmp_path / "state"
    state.mkdir(0o700)
    os.chown(state, 65534, 65534)
    monkeypatch.setenv("EARLID_DATA_DIR", str(state))
    path = save_key(BOARD, bytes(32))
    assert {(found.stat().st_uid, found.stat().st_gid) for found in state.rglob("*")} == {(65534, 65534)}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_keys(BOARD)


def test_root_reads_the_ledger_of_a_service_and_leaves_it_the_services(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root reads the ledger of another")
    path = tmp_path / "ledger.sqlite"
    with Ledger(locate(str(path))) as ledger:
        ledger.add(BOARD, seal_records(BOARD, 5))
    tmp_path.chmod(0o700)
    for found in (tmp_path, *tmp_path.rglob("*")):
        os.chown(found, 65534, 65534)
    assert main(["verify", "--ledger", str(path)]) == 0
    with Reader(locate(str(path))) as reader:
        assert reader.rows("SELECT COUNT(*) FROM records") == [(5,)]
        assert (tmp_path / "ledger.sqlite-shm").exists()
        assert {found.stat().st_uid for found in tmp_path.iterdir()} == {65534}
