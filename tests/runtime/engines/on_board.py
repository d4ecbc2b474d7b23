"""What the tests of the TensorRT engine share: a process on a board that loads a bundle and answers texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.jetson.board import FakeBoard

VERSIONS = ("8.6", "10.3", "11")
Board = Callable[..., FakeBoard]

TEXTS = [
    "I loved it.",
    "Dull and far too long.",
    "",
    "An honest, moving and beautifully acted film that stays with you for days after you have seen it, and more.",
]

USE = """
import json, sys, warnings
import edgebert
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    with edgebert.load(sys.argv[1], **json.loads(sys.argv[2])) as model:
        answers = model(json.loads(sys.argv[3]))
        explanation = model.explain()
        facts = dict(explanation.facts.details)
print(json.dumps({
    "artifact": explanation.chosen, "answers": answers, "facts": facts,
    "verdicts": {one.artifact: [one.status, one.reason] for one in explanation.verdicts},
    "warnings": [f"{one.category.__name__}: {one.message}" for one in caught],
}))
"""


def use(board: FakeBoard, bundle: Path, texts: list[str] = TEXTS, **how: Any) -> dict[str, Any]:
    """What a process tells that loads the bundle and answers the texts."""
    variables = {name: how.pop(name) for name in list(how) if name.isupper()}
    done = board.python(USE, bundle, json.dumps(how), json.dumps(texts), **variables)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def nothing_is_left(board: FakeBoard) -> bool:
    return all(not any(leak[kind] for kind in ("bytes", "streams", "graphs", "events")) for leak in board.leaks())
