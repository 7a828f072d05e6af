# SPDX-License-Identifier: MIT
"""Writes the unrolled kernels of the firmware's gate from templates with loops.

A template `kernel_templates/NAME.py.in` becomes `lid/gate/NAME.py`. Its lines are copied, with every `{expression}`
replaced by its value; lines that begin with `%` are Python: `%for`, `%if`, `%elif` and `%else` up to their `%end`, or a
`%def` on one line.

Run `python -m earlid.gate.kernel_generator` to rewrite the files (`make firmware` does); a test holds them against
the templates.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

from earlid import firmware

TEMPLATES = Path(__file__).parent / "kernel_templates"
LICENCE = "# SPDX-License-Identifier: MIT\n"


def names() -> list[str]:
    """The modules of `lid.gate` that are generated."""
    return sorted(path.name.removesuffix(".py.in") for path in TEMPLATES.glob("*.py.in"))


def expand(template: str) -> str:
    """The text that a template stands for."""
    program, depth = [], 0
    for line in template.splitlines():
        directive = line[1:].strip() if line.startswith("%") else None
        if directive is None:
            program.append(f"{'    ' * depth}emit(f{line!r})")
        elif directive == "end":
            depth -= 1
        elif directive.split()[0] in ("elif", "else"):
            program.append(f"{'    ' * (depth - 1)}{directive}:")
        elif directive.split()[0] in ("for", "if"):
            program.append(f"{'    ' * depth}{directive}:")
            depth += 1
        else:
            program.append(f"{'    ' * depth}{directive}")
    lines: list[str] = []
    space: dict[str, Any] = {"emit": lines.append, "cos": math.cos, "pi": math.pi}
    exec("\n".join(program), space)
    return "\n".join(lines) + "\n"


def render(name: str) -> str:
    """The text of `lid/gate/NAME.py`."""
    body = (TEMPLATES / f"{name}.py.in").read_text(encoding="ascii").removeprefix(LICENCE)
    head = f"{LICENCE}# Generated from earlid/gate/kernel_templates/{name}.py.in by earlid.gate.kernel_generator: do not edit.\n"
    return head + expand(body)


def main() -> int:
    """Write the files next to the gate's other modules."""
    for name in names():
        path = firmware.root() / "lid" / "gate" / f"{name}.py"
        path.write_text(render(name), encoding="ascii")
        sys.stderr.write(f"wrote {path}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
