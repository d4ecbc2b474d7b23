"""The page of each target: its commands exist, its links lead somewhere, and its artifacts are those that are built."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from edgebert.cli.app import cli
from edgebert.convert.target import load_target
from tests.examples import pages
from tests.examples.test_links import anchors, links

TARGETS = sorted((pages.DOCS.parent / "targets").glob("*/README.md"))


def named(page: Path) -> str:
    return page.parent.name


def commands(page: Path) -> Iterator[list[str]]:
    """The words after ``edgebert`` of every command, however its environment is named, also in the text."""
    text = page.read_text(encoding="utf-8")
    lines = [line for block in pages.blocks(page) if block.language == "sh" for line in block.content.splitlines()]
    for line in [*lines, *re.findall(r"`(edgebert [a-z]+ [^`]*)`", text)]:
        words = shlex.split(line, comments=True)
        names = [Path(word).name for word in words]
        if "edgebert" in names:
            yield words[names.index("edgebert") + 1 :]


@pytest.mark.parametrize("page", TARGETS, ids=named)
def test_commands(page: Path) -> None:
    found = list(commands(page))
    assert found
    for verb, *words in found:
        command = cli.get_command(click.Context(cli), verb)
        assert command is not None, verb
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("-")} <= known, words


@pytest.mark.parametrize("page", TARGETS, ids=named)
def test_links(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), link
        if anchor:
            assert anchor in anchors(linked), link


@pytest.mark.parametrize("page", TARGETS, ids=named)
def test_artifacts(page: Path) -> None:
    said = re.search(r"^Artifacts, preferred first: (.*?)\.( |$)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert said
    assert re.findall(r"`([a-z]+-[a-z0-9]+)`", said[1]) == [spec.id for spec in load_target(named(page)).artifacts]
