"""The pages of the documentation, taken apart: their code blocks, and how each kind is run.

* ``console``: each line that starts with ``$`` is run by bash. The lines below it must appear in its output, in this
  order; numbers and spacing do not count, and ``...`` stands for anything. The exit code must be 0, or for the last
  command of a block that says ``exit=N``, N.
* ``python``: executed, with one namespace per page; with ``>>>`` prompts, as a doctest.
* any language with ``file=PATH``: written to PATH.

Blocks run in the order of the page, in one folder. All others are for reading.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"
TUTORIAL = DOCS / "tutorial.md"
PAGES = sorted(DOCS.rglob("*.md"))

_FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*(?:e[+-]?\d+)?")
_DOCTEST = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """A fenced block: the line its content starts on (from 1), its language, what follows it, and the content."""

    page: Path
    line: int
    language: str
    settings: dict[str, str]
    content: str

    @property
    def runs(self) -> bool:
        return self.language in ("console", "python") or "file" in self.settings


def name(page: Path) -> str:
    return page.relative_to(DOCS).as_posix()


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start(3)) + 1
        settings = dict(setting.split("=", 1) for setting in match[2].split())
        yield Block(page, line, match[1], settings, match[3])


def run_page(page: Path, folder: Path) -> None:
    """Run a page's blocks in ``folder``; raises ``AssertionError`` with the place of the first that does not hold."""
    namespace: dict[str, Any] = {"__name__": "example"}
    with _working_in(folder):
        for block in blocks(page):
            if "file" in block.settings:
                path = Path(block.settings["file"])
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(block.content, encoding="utf-8")
            elif block.language == "console":
                _run_console(block, folder)
            elif block.language == "python":
                _run_python(block, namespace)


@contextlib.contextmanager
def _working_in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _run_console(block: Block, folder: Path) -> None:
    steps: list[tuple[str, list[str]]] = []
    for line in block.content.splitlines():
        if line.startswith("$ "):
            steps.append((line[2:], []))
        elif line.strip():
            steps[-1][1].append(line)
    for index, (command, shown) in enumerate(steps):
        wanted = int(block.settings.get("exit", 0)) if index == len(steps) - 1 else 0
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=600,
        )
        place = f"{name(block.page)}, block at line {block.line}: $ {command}"
        assert done.returncode == wanted, f"{place}\nexit code {done.returncode}, not {wanted}:\n{done.stdout}"
        missing = first_missing(shown, done.stdout)
        assert missing is None, f"{place}\nthe page shows: {missing}\nwhich is not next in:\n{done.stdout}"


def first_missing(shown: list[str], output: str) -> str | None:
    """The first of the ``shown`` lines that does not follow in ``output``; ``None`` when all stand there in order."""
    printed = iter([_normal(line) for line in output.splitlines()])
    for line in shown:
        pattern = ".*".join(re.escape(_normal(part)) for part in line.split("..."))
        if not any(re.fullmatch(pattern, candidate.strip()) for candidate in printed):
            return line
    return None


def _normal(line: str) -> str:
    return re.sub(r"\s+", "", _NUMBER.sub("#", line))


def _run_python(block: Block, namespace: dict[str, Any]) -> None:
    place = f"{name(block.page)}, line {block.line}"
    if ">>>" not in block.content:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(block.content, place, "exec"), namespace)
        return
    test = doctest.DocTestParser().get_doctest(block.content, namespace, place, str(block.page), block.line - 1)
    said: list[str] = []
    result = doctest.DocTestRunner(verbose=False, optionflags=_DOCTEST).run(test, out=said.append, clear_globs=False)
    assert result.failed == 0, "".join(said)
    namespace.update(test.globs)
