"""``edgebert cascade``, and what the other verbs do with what it makes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.command import run
from tests.compress.cascade.conftest import folder

__all__ = ["folder"]


@pytest.fixture(scope="module")
def made(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cascade, beside what the command printed."""
    out = tmp_path_factory.mktemp("made")
    done = run(
        "cascade", folder / "near.edgebert", folder / "big.edgebert", "--eval", folder / "eval.tsv",
        "--max-drop", "0.02", "-o", "both.edgebert", cwd=out,
    )  # fmt: skip
    assert done.code == 0, done
    (out / "said").write_text(done.out)
    return out


def test_it_tells_what_was_measured(made: Path) -> None:
    said = (made / "said").read_text()
    evidence = json.loads((made / "both.edgebert/cascade.json").read_text())
    [pair] = evidence["pairs"]
    assert "both: fitted on 120 texts, measured on 120 others:" in said
    cells = ["onnx-fp32", "onnx-fp32", f"{pair['escalated']:.1%}", f"{pair['accuracy']:.4f}", "1.0000"]
    assert cells in [line.split()[:5] for line in said.splitlines()]
    assert said.endswith("Wrote both.edgebert. The evidence, for people: both.edgebert/cascade.html\n")
    assert evidence["command"][:2] == ["edgebert", "cascade"]


def test_predict_tells_the_share_escalated(made: Path, folder: Path) -> None:
    texts = "\n".join(line.split("\t")[0] for line in (folder / "eval.tsv").read_text().splitlines()[1:])
    done = run("predict", "both.edgebert", "--explain", cwd=made, stdin=f"{texts}\n".encode())
    assert done.code == 0 and done.out.count("\n") == 240
    last = done.messages.splitlines()[-1]
    assert last.startswith("escalated: ") and " of 240 (" in last
    assert "comes from the bigger model" in done.messages


def test_inspect_and_verify_tell_of_both(made: Path) -> None:
    shown = run("inspect", "both.edgebert", cwd=made)
    assert "comes from both.edgebert/bigger; accuracy " in shown.out and "of 120 texts escalated" in shown.out
    assert json.loads(run("inspect", "both.edgebert", "--json", cwd=made).out)["cascade"]["bundle"] == "bigger"
    checked = run("verify", "both.edgebert", cwd=made)
    assert [line.split(":")[0] for line in checked.out.splitlines()] == ["files", "onnx-fp32", "bigger/onnx-fp32"]


def test_a_cascade_that_loses_too_much_exits_with_3(folder: Path, tmp_path: Path) -> None:
    arguments = [folder / "far.edgebert", folder / "big.edgebert", "--eval", folder / "eval.tsv", "-o", "c.edgebert"]
    done = run("cascade", *arguments, "--max-drop", "0", cwd=tmp_path)
    assert "Give a better small bundle" in done.refusal(3)
    assert "small alone" in done.out
    assert list(tmp_path.iterdir()) == []


def test_usage(folder: Path, tmp_path: Path) -> None:
    bundles = [folder / "near.edgebert", folder / "big.edgebert"]
    assert "--eval" in run("cascade", *bundles, "-o", "c.edgebert", cwd=tmp_path).usage_error()
    wrong = run("cascade", *bundles, "--eval", "e.tsv", "-o", "c.edgebert", "--max-drop", "2", cwd=tmp_path)
    assert "--max-drop" in wrong.usage_error()
    missing = run("cascade", "none.edgebert", bundles[1], "--eval", "e.tsv", "-o", "c.edgebert", cwd=tmp_path)
    assert "none.edgebert" in missing.refusal()
