# SPDX-License-Identifier: MIT
"""The fake `navigator.serial` keeps the real one's rules, and the board behind it a real board's."""

from __future__ import annotations

import pytest

from tests.page.chromium import wait
from tests.web.dev_board import DOWNLOAD_BANNER, DevBoard, Speaker
from tests.web.serial_server import serve

NAMES = "(prototype) => Object.getOwnPropertyNames(prototype).filter((name) => !name.startsWith('_') && name !== 'constructor')"
ASKS = """
document.title = "asking";
navigator.serial.requestPort().then(() => { document.title = "given"; }, (error) => { document.title = error.name; });
"""
PREPARE = """
window.attempt = async (action) => { try { return await action() ?? "done"; } catch (error) { return error.name; } };
window.heard = [];
navigator.serial.addEventListener("disconnect", (event) => heard.push(event.target === window.port));
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of an empty page, and of one that asks for a port by itself."""
    folder = tmp_path_factory.mktemp("empty")
    (folder / "index.html").write_text("<!doctype html><link rel='icon' href='data:,'><title>empty</title>")
    (folder / "asks.html").write_text("<!doctype html><link rel='icon' href='data:,'><script src='asks.js'></script>")
    (folder / "asks.js").write_text(ASKS)
    with serve(folder) as serving:
        yield serving


@pytest.fixture
def do(server, visit):
    """Runs script in the page: a function `attempt` tells what an action returns, or its error's name."""
    page = visit(server.url)
    page.evaluate(PREPARE)
    return lambda script: page.evaluate(f"async () => {{ {script} }}")


def test_fake_serial_has_nothing_that_the_browser_has_not(server, visit):
    """A page that passes here uses nothing that is not in Web Serial."""
    real = visit(server.url, script=None)
    assert real.evaluate("navigator.serial instanceof Serial")
    expected = [real.evaluate(f"({NAMES})({kind}.prototype)") for kind in ("Serial", "SerialPort")]
    fake = visit(server.url)
    server.plug(DevBoard())
    fake.evaluate("async () => { window.port = await navigator.serial.requestPort(); }")
    for names, thing in zip(expected, ("navigator.serial", "port"), strict=True):
        ours = fake.evaluate(f"({NAMES})(Object.getPrototypeOf({thing}))")
        assert ours
        assert set(ours) <= set(names)


def test_a_port_is_not_given_without_a_gesture_or_against_the_users_will(server, visit, do):
    page = visit(server.url + "asks.html")
    wait(lambda: page.title() != "asking")
    assert page.title() == "SecurityError"
    server.choice = None
    assert do("return attempt(() => navigator.serial.requestPort())") == "NotFoundError"
    server.plug(DevBoard(info=(0x10C4, 0xEA60)))
    assert do("return attempt(() => navigator.serial.requestPort({filters: [{usbVendorId: 1}]}))") == "NotFoundError"
    assert do("return (await navigator.serial.requestPort({filters: [{usbVendorId: 0x10c4}]})).getInfo()") == {
        "usbVendorId": 0x10C4,
        "usbProductId": 0xEA60,
    }
    assert do("return (await navigator.serial.getPorts()).length") == 1


def test_a_port_opens_once_and_closes_when_nobody_holds_its_streams(server, do):
    server.plug(DevBoard(start=lambda flash: Speaker(b"one\n")))
    do("window.port = await navigator.serial.requestPort()")
    assert do("return [port.readable, port.writable, await attempt(() => port.close())]") == [None, None, "InvalidStateError"]
    assert do("return attempt(() => port.open({}))") == "TypeError"
    assert do("return attempt(() => port.setSignals({requestToSend: true}))") == "InvalidStateError"
    assert do("return attempt(() => port.open({baudRate: 115200}))") == "done"
    assert do("return attempt(() => port.open({baudRate: 115200}))") == "InvalidStateError"
    assert do("return attempt(() => port.setSignals({}))") == "TypeError"
    assert do("window.reader = port.readable.getReader(); return attempt(() => port.close())") == "TypeError"
    assert do("return new TextDecoder().decode((await reader.read()).value)") == "one\n"
    assert do("await reader.cancel(); reader.releaseLock(); return port.readable.locked") is False
    assert do("window.writer = port.writable.getWriter(); return attempt(() => port.close())") == "TypeError"
    assert do("writer.releaseLock(); return attempt(() => port.close())") == "done"
    assert do("return attempt(() => port.open({baudRate: 115200, bufferSize: 4096}))") == "done"


def test_a_port_that_is_unplugged_says_so_in_its_streams_and_never_opens_again(server, do):
    board = server.plug(DevBoard())
    do("window.port = await navigator.serial.requestPort(); await port.open({baudRate: 115200})")
    do("window.reader = port.readable.getReader(); await reader.read(); window.reading = attempt(() => reader.read())")
    server.unplug(board)
    assert do("return await reading") == "NetworkError"
    assert do("return [heard, port.readable, port.writable]") == [[True], None, None]
    assert do("reader.releaseLock(); return attempt(() => port.close())") == "InvalidStateError"
    server.plug(board)
    assert do("return attempt(() => port.open({baudRate: 115200}))") == "NetworkError"
    assert do("return (await navigator.serial.getPorts()).length") == 0
    do("window.other = await navigator.serial.requestPort()")
    assert do("return other !== port && attempt(() => other.open({baudRate: 9600}))") == "done"


def test_dtr_and_rts_start_the_chip_as_two_transistors_do(server, do):
    """Opening and closing reset nothing; RTS alone resets, and DTR at its end selects the boot loader."""
    board = server.plug(DevBoard())
    do("window.port = await navigator.serial.requestPort(); await port.open({baudRate: 115200}); await port.close()")
    assert board.starts == ["program"]
    do("await port.open({baudRate: 115200}); await port.setSignals({dataTerminalReady: false, requestToSend: true})")
    assert board.starts == ["program"]
    do("await port.setSignals({dataTerminalReady: true, requestToSend: false})")
    assert board.starts == ["program", "download"]
    said = do(
        "const reader = port.readable.getReader(); let text = '';"
        "while (!text.endsWith('download\\r\\n')) text += new TextDecoder().decode((await reader.read()).value);"
        "reader.releaseLock(); return text"
    )
    assert said.encode().endswith(DOWNLOAD_BANNER)
    do("await port.setSignals({dataTerminalReady: false})")
    do("await port.setSignals({requestToSend: true}); await port.setSignals({requestToSend: false})")
    assert board.starts == ["program", "download", "program"]
