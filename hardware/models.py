# SPDX-License-Identifier: MIT
"""SPICE lines of every kind of part. Behavioural where a vendor's model would add nothing that these tests measure."""

from __future__ import annotations

import math

from hardware.corners import Corner
from hardware.parts import Part

COIL_OHM = 167.0
COIL_H = 0.46
CONTACT_OHM = 0.1
PTC_USB_OHM = 0.22  # RUEF090 an hour after it tripped, its highest
RING_S = 1.6e-3  # period of an armature that bounces
SUPPLY_A = 0.15  # of the DevKit and both coils, roughly: where its diode's voltage is given
MIC_MA = 2.5  # INMP441 at 3.3 V, its highest
OPEN_OHM = 1e9
VT_300K = 0.02585


def cards(corner: Corner) -> list[str]:
    """Model cards shared by all parts of a deck."""
    spread = 10 ** corner.env["diode_is_log10"]
    supply_is = SUPPLY_A / math.exp((corner.env["supply_diode_v"] - 0.1 * SUPPLY_A) / (1.05 * VT_300K))
    return [
        f".model d4148 d(is={2.52e-9 * spread:.4g} n=1.752 rs=0.57 cjo=4p tt=20n)",
        f".model dbat d(is={2e-7 * spread:.4g} n=1.05 rs=4 cjo=10p eg=0.69 xti=2)",
        f".model dsupply d(is={supply_is:.4g} n=1.05 rs=0.1 eg=0.69 xti=2)",
        ".model desd d(is=1e-14 n=1 rs=20)",
        ".model dz d(is=1e-14 n=1.1 rs=5 bv=5.1 ibv=5m)",
        ".model dred d(is=1e-19 n=1.9 rs=8)",
        f".model con sw(vt=0.5 vh=0.05 ron={CONTACT_OHM} roff={OPEN_OHM:g})",
    ]


def _leak_na(corner: Corner, at_25c_na: float) -> float:
    return at_25c_na * 10 ** corner.env["leak_log10"] * 2 ** ((corner.env["temp_c"] - 25.0) / 10.0)


def resistor(p: Part, n: list[str], c: Corner) -> list[str]:
    return [f"r{p.ref} {n[0]} {n[1]} {p.value_si * c.scale.get(p.ref, 1.0):.6g}"]


def capacitor(p: Part, n: list[str], c: Corner) -> list[str]:
    return [f"c{p.ref} {n[0]} {n[1]} {p.value_si * c.scale.get(p.ref, 1.0):.6g} ic=0"]


def diode(p: Part, n: list[str], c: Corner) -> list[str]:
    """Junction plus a reverse leakage that doubles every 10 K and does not depend on the voltage: pessimistic."""
    model, leak_na = ("dbat", 500.0) if p.value == "BAT42" else ("d4148", 25.0)
    leak = _leak_na(c, leak_na) * 1e-9
    return [
        f"d{p.ref} {n[0]} {n[1]} {model}",
        f"b{p.ref} {n[1]} {n[0]} i={leak:.4g}*tanh(5*max(v({n[1]})-v({n[0]}),0))",
    ]


def zener(p: Part, n: list[str], c: Corner) -> list[str]:
    return [f"d{p.ref} {n[0]} {n[1]} dz"]


def led(p: Part, n: list[str], c: Corner) -> list[str]:
    return [f"d{p.ref} {n[0]} {n[1]} dred"]


def mosfet(p: Part, n: list[str], c: Corner) -> list[str]:
    """A coil's transistor conducts below its threshold too, which decides when it lets go; the lamp's need not."""
    if p.block == "lamp":
        s, g, d = n
        vth = _threshold(p, c)
        return [
            f"m{p.ref} {d} {g} {s} {s} m{p.ref}",
            f".model m{p.ref} nmos(level=1 vto={vth:.5g} kp=0.5)",
            f"c{p.ref} {g} {s} 130p",
        ]
    return _ekv(p, n, c)


def _threshold(p: Part, c: Corner) -> float:
    base = c.env["vth"] if p.kind == "NMOS" else c.env["vth"] - 0.05  # NDP6020P: 0.4 to 1.0 V
    return (base + c.env["vth_tc"] * (c.env["temp_c"] - 25.0)) * c.scale.get(p.ref, 1.0)


def _ekv(p: Part, n: list[str], c: Corner) -> list[str]:
    """Drain current of an EKV transistor: one formula from subthreshold to the ohmic region, with its body diode."""
    s, g, d = n
    sign, gain = (1, 0.25) if p.kind == "NMOS" else (-1, 3.0)
    vth = _threshold(p, c)
    slope = 2 * c.env["subthreshold_n"] * VT_300K * (c.env["temp_c"] + 273.15) / 300.0
    unit = gain * slope * slope
    vgs, vgd = (f"v({g})-v({s})", f"v({g})-v({d})") if sign > 0 else (f"v({s})-v({g})", f"v({d})-v({g})")

    def soft(volts: str) -> str:
        return f"ln(1+exp(min(({volts}-{vth:.5g})/{slope:.5g},60)))"

    a, b = (d, s) if sign > 0 else (s, d)
    body = f"d{p.ref} {s} {d} d4148" if sign > 0 else f"d{p.ref} {d} {s} d4148"
    return [f"b{p.ref} {a} {b} i={unit:.5g}*(({soft(vgs)})^2-({soft(vgd)})^2)", body, f"c{p.ref} {g} {s} 130p"]


def ptc(p: Part, n: list[str], c: Corner) -> list[str]:
    """Cold resistance only; tripping takes seconds, which helps and is not counted on."""
    ohm = c.env["ptc_ohm"] if p.value.startswith("RXEF") else PTC_USB_OHM
    return [f"r{p.ref} {n[0]} {n[1]} {ohm:.4g}"]


def comparator(p: Part, n: list[str], c: Corner) -> list[str]:
    """LM393: sinks while V+ > 2 V and IN+ < IN- ; bias flows out of the inputs; leaks into the open output."""
    out1, m1, p1, gnd, p2, m2, out2, vcc = n
    lines = []
    bias, diff = c.env["cmp_bias_na"] * 1e-9, c.env["cmp_bias_diff_na"] * 1e-9
    offset, leak = c.env["cmp_offset_v"], c.env["cmp_leak_na"] * 1e-9
    for k, (plus, minus, out) in enumerate(((p1, m1, out1), (p2, m2, out2)), start=1):
        on = f"(0.5+0.5*tanh((v({minus})-v({plus})-({offset:.5g}))*4000))*(0.5+0.5*tanh((v({vcc},{gnd})-2)*20))"
        lines += [
            f"b{p.ref}o{k} {out} {gnd} i=v({out},{gnd})*0.01*{on}+{leak:.4g}*tanh(v({out},{gnd})*10)",
            f"b{p.ref}p{k} {gnd} {plus} i={bias + diff / 2:.5g}*0.5*(1+tanh((v({vcc})-v({plus})-1)*5))",
            f"b{p.ref}m{k} {gnd} {minus} i={bias - diff / 2:.5g}*0.5*(1+tanh((v({vcc})-v({minus})-1)*5))",
        ]
    return [*lines, f"r{p.ref} {vcc} {gnd} 8k"]


def relay(p: Part, n: list[str], c: Corner) -> list[str]:
    """Coil with resistance, inductance and temperature; the armature follows with hysteresis and a travel time."""
    ca, com1, nc1, no1, no2, nc2, com2, cb = n
    x = p.ref.lower()
    cold = COIL_OHM * c.env["coil_r"]
    ohm = cold * (1 + 0.00393 * (c.env["temp_c"] + c.env["coil_rise_k"] - 23.0))
    pull, drop = c.env["operate"] * 5.0 / cold, c.env["release"] * 5.0 / cold
    middle, half = (pull + drop) / 2, (pull - drop) / 2
    tau = c.env["armature_ms"] * 1e-3
    ring = c.env.get("contact_ring", 0.0)
    armature = [f"r{x}p {x}t {x}p {tau / 1e-6:.5g}"]
    if ring:  # the armature springs back from its stop: contacts bounce while the ringing crosses their threshold
        henry = (RING_S / 6.2832) ** 2 / 1e-6
        armature = [f"r{x}p {x}t {x}q {2 * ring * (henry / 1e-6) ** 0.5:.5g}", f"l{x}p {x}q {x}p {henry:.5g} ic=0"]
    lines = [
        f"r{x}c {ca} {x}a {ohm:.5g}",
        f"l{x}c {x}a {x}b {COIL_H * c.env['coil_l']:.4g} ic=0",
        f"v{x}i {x}b {cb} 0",
        f"c{x}w {ca} {cb} 100p",
        f"w{x} {x}one {x}t v{x}i w{x}m",
        f".model w{x}m csw(it={middle:.6g} ih={half:.6g} ron=1 roff=1e9)",
        f"v{x}1 {x}one 0 1",
        f"r{x}t {x}t 0 1k",
        *armature,
        f"c{x}p {x}p 0 1u ic=0",
        f"b{x}n {x}n 0 v=1-v({x}p)",
    ]
    for k, (com, nc, no) in enumerate(((com1, nc1, no1), (com2, nc2, no2)), start=1):
        lines.append(f"s{x}no{k} {com} {no} {x}p 0 {x}no")
        lines.append(f"s{x}nc{k} {com} {nc} {x}n 0 {x}nc")
    lines.append(f".model {x}no sw(vt=0.7 vh=0.02 ron={CONTACT_OHM} roff={OPEN_OHM:g})")
    lines.append(f".model {x}nc sw(vt=0.7 vh=0.02 ron={CONTACT_OHM} roff={OPEN_OHM:g})")
    return lines


def switch(p: Part, n: list[str], c: Corner) -> list[str]:
    """Poles driven by the deck's nets sw_arm_X and sw_mute_X, so that a fault can leave one pole behind."""
    lines = []
    for pole, k in zip("abc", range(0, len(n), 3), strict=False):
        lines.append(f"s{p.ref}{pole}r {n[k + 1]} {n[k]} sw_arm_{pole} 0 con")
        lines.append(f"s{p.ref}{pole}m {n[k + 1]} {n[k + 2]} sw_mute_{pole} 0 con")
    return lines


def microphone(p: Part, n: list[str], c: Corner) -> list[str]:
    """Its highest current above about 1.2 V, 100 nF on the module, protection diodes from every pin to its supply."""
    vdd, gnd, sd, ws, sck, _lr = n
    lines = [
        f"b{p.ref} {vdd} {gnd} i={MIC_MA}m*0.5*(1+tanh((v({vdd},{gnd})-1.2)*6))*tanh(10*max(v({vdd},{gnd}),0))",
        f"c{p.ref} {vdd} {gnd} 100n ic=0",
    ]
    for k, pin in enumerate((sd, ws, sck)):
        lines += [f"d{p.ref}u{k} {pin} {vdd} desd", f"d{p.ref}d{k} {gnd} {pin} desd"]
    return lines


def nothing(p: Part, n: list[str], c: Corner) -> list[str]:
    return [f"r{p.ref} {n[0]} {n[1]} 1e9"]


def connector(p: Part, n: list[str], c: Corner) -> list[str]:
    """What hangs on it belongs to the deck's sources and load."""
    return []


LINES = {
    "R": resistor, "C": capacitor, "D": diode, "Z": zener, "LED": led, "NMOS": mosfet, "PMOS": mosfet, "PTC": ptc,
    "CMP": comparator, "RELAY": relay, "SW3": switch, "SW2": switch, "MIC": microphone, "BUTTON": nothing, "BUZZER": nothing,
    "CONN2": connector, "CONN3": connector,
}  # fmt: skip
