"""``edgebert bench`` with reports: the page, comparisons, trackers, and what is refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bench.reports import artifact, report
from tests.cli.command import Result

QUICK = ("--artifact", "onnx-fp32", "--length", "8", "--repetitions", "2", "--rounds", "1", "--threads", "1", "-q")
Edgebert = Callable[..., Result]


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, Path]:
    """Two reports of five rounds; in the second one artifact is slower."""
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    before.write_bytes(report(artifact("onnx-int8", rounds=5), artifact("onnx-fp32", rounds=5), rounds=5).to_json())
    slow = artifact("onnx-int8", rounds=5, seed=1, slower=1.6)
    after.write_bytes(report(slow, artifact("onnx-fp32", rounds=5, seed=1), rounds=5).to_json())
    return before, after


def test_a_measurement_writes_its_page(edgebert: Edgebert, bundle: Path, tmp_path: Path) -> None:
    done = edgebert("bench", bundle, *QUICK, "--html", "page.html", "--out", "report.json", "--json")
    assert done.code == 0, done
    page = (tmp_path / "page.html").read_text()
    assert page.startswith("<!DOCTYPE html>") and "onnx-fp32" in page
    assert (tmp_path / "report.json").read_text() == done.out.rstrip("\n") + "\n"
    again = edgebert("bench", "--from", "report.json", "--html", "again.html", "-q")
    assert (again.code, again.out, again.err) == (0, "", "")
    assert (tmp_path / "again.html").read_text() == page
    assert edgebert("bench", bundle, "--from", "report.json").out.startswith("tiny (")
    one = edgebert("bench", "--compare", "report.json", "report.json", "--anyway").refusal()
    assert "One round tells nothing" in one and "--rounds" in one


def test_a_page_that_cannot_be_written_is_refused_before_measuring(edgebert: Edgebert, bundle: Path) -> None:
    done = edgebert("bench", bundle, *QUICK, "--html", "no/such/folder/page.html")
    assert "Cannot write 'no/such/folder/page.html'" in done.refusal()
    assert done.progress == []


def test_no_regression_exits_with_0(edgebert: Edgebert, saved: tuple[Path, Path]) -> None:
    done = edgebert("bench", "--compare", saved[0], saved[0])
    assert done.code == 0, done
    assert "No regression: 0 worse" in done.out


def test_a_regression_exits_with_3(edgebert: Edgebert, saved: tuple[Path, Path], tmp_path: Path) -> None:
    done = edgebert("bench", "--compare", *saved, "--json", "--out", "comparison.json")
    assert (done.code, done.err) == (3, "")
    document = json.loads(done.out)
    assert document["regressed"] is True
    assert json.loads((tmp_path / "comparison.json").read_text()) == document
    assert {figure["artifact"] for figure in document["figures"] if figure["verdict"] == "worse"} == {"onnx-int8"}
    assert edgebert("bench", "--compare", *saved, "-q").out == ""
    assert edgebert("bench", "--compare", *saved, "--margin", "1").code == 0


def test_what_is_not_comparable_is_refused_unless_anyway(
    edgebert: Edgebert, saved: tuple[Path, Path], tmp_path: Path
) -> None:
    other = tmp_path / "other.json"
    other.write_bytes(report(artifact("onnx-int8", rounds=5), rounds=5, bundle_digest="0" * 64).to_json())
    refused = edgebert("bench", "--compare", saved[0], other).refusal()
    assert "not comparable" in refused and "the bundles are" in refused and "--anyway" in refused
    done = edgebert("bench", "--compare", saved[0], other, "--anyway")
    assert done.code == 0 and "NOT COMPARABLE" in done.out


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"format": "edgebert-bench/1"}', "does not hold the single measurements"),
        (b'{"format": "edgebert-bench/2", "bun', "is not JSON, or was cut off"),
        (b"artifact,ms\n", "is not JSON"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_file_that_is_no_report_is_one_error(
    edgebert: Edgebert, saved: tuple[Path, Path], tmp_path: Path, content: bytes | None, reason: str
) -> None:
    if content is not None:
        (tmp_path / "wrong.json").write_bytes(content)
    for args in (
        ("--compare", saved[0], "wrong.json"),
        ("--compare", "wrong.json", saved[0]),
        ("--from", "wrong.json"),
    ):
        message = edgebert("bench", *args).refusal()
        assert "'wrong.json'" in message and reason in message


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ((), "Missing argument 'BUNDLE'"),
        (("--from", "a.json", "--length", "8"), "--length has no meaning with --from"),
        (("--from", "a.json", "--eval", "dev.tsv"), "--eval has no meaning with --from"),
        (("tiny.edgebert", "--compare", "a.json", "b.json"), "BUNDLE has no meaning with --compare"),
        (("--compare", "a.json", "b.json", "--html", "page.html"), "--html has no meaning with --compare"),
        (("tiny.edgebert", "--margin", "0.1"), "--margin needs --compare"),
        (("--from", "a.json", "--anyway"), "--anyway needs --compare"),
        (("--compare", "a.json", "b.json", "--margin", "2"), "2.0 is not in the range"),
        (("tiny.edgebert", "--log-to", "paper"), "'paper' is not one of 'wandb', 'mlflow'"),
    ],
)
def test_options_that_have_no_meaning_together_are_wrong_usage(
    edgebert: Edgebert, args: tuple[str, ...], reason: str
) -> None:
    assert reason in edgebert("bench", *args).usage_error()


def test_a_report_of_another_bundle_is_refused(edgebert: Edgebert, saved: tuple[Path, Path], bundle: Path) -> None:
    message = edgebert("bench", bundle, "--from", saved[0]).refusal()
    assert "is not of the bundle" in message


def test_a_tracker_that_is_not_installed_is_said_before_measuring(
    edgebert: Edgebert, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    message = edgebert("bench", bundle, *QUICK, "--log-to", "mlflow").refusal()
    assert 'pip install "edgebert[mlflow]"' in message


def test_what_is_logged_is_said(edgebert: Edgebert, saved: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.bench.test_log_tracking import Mlflow

    module = Mlflow()
    monkeypatch.setitem(sys.modules, "mlflow", module)
    done = edgebert("bench", "--from", saved[0], "--log-to", "mlflow", "-q")
    assert (done.code, done.out) == (0, "")
    assert done.err == "Logged to mlflow: run 0123abcd in sqlite:///mlflow.db\n"
    assert module.files["benchmark.json"] == saved[0].read_bytes()


def test_a_tracker_that_refuses_does_not_cost_the_measurement(
    edgebert: Edgebert, saved: tuple[Path, Path], bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.bench.test_log_tracking import Mlflow

    module = Mlflow()
    monkeypatch.setitem(sys.modules, "mlflow", module)
    monkeypatch.setattr(module, "log_metrics", lambda metrics: [][0])
    refused = edgebert("bench", bundle, *QUICK, "--log-to", "mlflow").refusal()
    [kept] = tmp_path.glob("benchmark-*.json")
    assert f"The report is in '{kept.name}'." in refused
    assert json.loads(kept.read_text())["bundle"] == "tiny"
    assert module.status == "FAILED"
    refused = edgebert("bench", "--from", saved[0], "--log-to", "mlflow").refusal()
    assert f"--from {saved[0]} --log-to mlflow" in refused
    assert len(list(tmp_path.glob("*.json"))) == 3


def test_a_page_takes_the_place_of_an_older_one_whole(
    edgebert: Edgebert, saved: tuple[Path, Path], tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    page.write_text("older")
    assert edgebert("bench", "--from", saved[0], "--html", page, "-q").code == 0
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert [path.name for path in tmp_path.iterdir() if "partial" in path.name] == []
    (tmp_path / "folder").mkdir()
    assert "Is a directory" in edgebert("bench", "--from", saved[0], "--html", "folder", "-q").refusal()
