# SPDX-License-Identifier: MIT
"""S-expressions as KiCad writes them: text to nested lists and back."""

from __future__ import annotations

import re
from typing import TypeAlias

Node: TypeAlias = "list[Node | str]"  # a string keeps its quotes, so that what is read is written the same

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[()]|[^\s()"]+')


def parse(text: str) -> Node:
    """The first expression of `text`. Raises ValueError when its brackets do not match."""
    stack: list[Node] = [[]]
    for token in _TOKEN.findall(text):
        if token == "(":
            stack.append([])
        elif token == ")":
            if len(stack) < 2:
                raise ValueError("a bracket closes what was never opened")
            done = stack.pop()
            stack[-1].append(done)
        else:
            stack[-1].append(token)
    if len(stack) != 1 or not stack[0] or isinstance(stack[0][0], str):
        raise ValueError("no whole expression")
    return stack[0][0]


def write(node: Node, depth: int = 0) -> str:
    """Text of an expression; nested lists that hold lists get lines of their own."""
    if all(isinstance(item, str) for item in node):
        return "(" + " ".join(item for item in node if isinstance(item, str)) + ")"
    out = "("
    for i, item in enumerate(node):
        if isinstance(item, str):
            out += (" " if i else "") + item
        else:
            out += "\n" + "  " * (depth + 1) + write(item, depth + 1)
    return out + ")"


def bare(item: Node | str) -> str:
    """A string without its quotes. Raises ValueError for a list."""
    if not isinstance(item, str):
        raise ValueError("a list where a word was expected")
    return item[1:-1].replace('\\"', '"') if item.startswith('"') else item


def quoted(text: str) -> str:
    return '"' + text.replace('"', '\\"') + '"'


def children(node: Node, name: str) -> list[Node]:
    """Lists inside `node` that begin with `name`."""
    return [item for item in node if not isinstance(item, str) and item and item[0] == name]


def child(node: Node, name: str) -> Node | None:
    return next(iter(children(node, name)), None)


def numbers(node: Node | None) -> list[float]:
    """Every number of a list such as (at 1 2 90); words are left out."""
    found = []
    for item in node or []:
        if isinstance(item, str) and re.fullmatch(r"-?\d*\.?\d+", item):
            found.append(float(item))
    return found
