"""Markdown tables, as the tests of the reference pages read them."""

from __future__ import annotations

import re


def section(text: str, heading: str) -> str:
    """The part of a page below a heading of level 2 or 3, up to the next of its level or above."""
    found = re.search(rf"^(##+) {re.escape(heading)}$", text, re.MULTILINE)
    assert found, f"there is no section {heading}"
    rest = text[found.end() :]
    following = re.search(rf"^#{{1,{len(found[1])}}} ", rest, re.MULTILINE)
    return rest[: following.start()] if following else rest


def rows(text: str) -> list[list[str]]:
    """The cells of every row of every table but header and rule."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    heads = {index for index, line in enumerate(lines) if set(line) <= set("|-")}
    body = [line for index, line in enumerate(lines) if index not in heads and index + 1 not in heads]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in body]


def codes(cell: str) -> list[str]:
    """What stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)
