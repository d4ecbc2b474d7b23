"""Every example of the documentation runs, and shows what really happens."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from edgebert.cli.app import cli
from tests.examples import pages

RUNNING = [page for page in pages.PAGES if page != pages.TUTORIAL and any(block.runs for block in pages.blocks(page))]


def test_the_tutorial(tutorial_folder: Path) -> None:
    # It has run, every line checked; this is what the other pages rely on.
    assert (tutorial_folder / "sentiment.edgebert" / "manifest.json").is_file()


LONG = {
    f"how-to/{name}.md"
    for name in (
        "answer-questions", "choose-an-answer", "classify-without-training", "distill", "embed-texts", "fill-masks",
        "jetson", "label-words", "make-a-target", "shrink-your-checkpoint", "use-mediapipe",
    )
}  # fmt: skip
"""Pages of eight seconds or more whose commands have tests of their own: these run with ``make test-full``."""


def _params() -> Iterator[object]:
    for page in RUNNING:
        yield pytest.param(page, id=pages.name(page), marks=[pytest.mark.full] if pages.name(page) in LONG else [])


@pytest.mark.parametrize("page", _params())
def test_the_examples_of(page: Path, tutorial_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    shutil.copytree(tutorial_folder, folder)
    pages.run_page(page, folder)


def commands() -> Iterator[tuple[str, str]]:
    """Every ``edgebert`` command line in a shell block of a page, run or not."""
    for page in pages.PAGES:
        for block in pages.blocks(page):
            if block.language not in ("sh", "console"):
                continue
            for line in block.content.replace("\\\n", " ").splitlines():
                words = shlex.split(line.removeprefix("$ "), comments=True) if "edgebert " in line else []
                if words[:1] == ["edgebert"]:
                    yield pages.name(page), shlex.join(words[1:])


@pytest.mark.parametrize(("page", "line"), list(commands()))
def test_every_option_exists(page: str, line: str) -> None:
    verb, *words = shlex.split(line)
    command = cli.get_command(click.Context(cli), verb)
    assert command is not None, f"{page}: there is no verb {verb}"
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("-") and word != "-"} <= known


@pytest.mark.parametrize(
    ("shown", "output", "missing"),
    [
        (["passed 0.9965"], "passed 0.1\n", None),
        (["a  1", "c"], "a 2\nb\nc\n", None),
        (["c", "a"], "a\nc\n", "a"),
        (["... and more"], "this and more\n", None),
        (["passed"], "failed\n", "passed"),
        (["passed"], "passed, almost\n", "passed"),
        (["onnx 1"], "tflite 1\n", "onnx 1"),
    ],
)
def test_what_a_page_shows_is_compared(shown: list[str], output: str, missing: str | None) -> None:
    assert pages.first_missing(shown, output) == missing
