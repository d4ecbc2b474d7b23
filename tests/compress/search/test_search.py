"""What a search does with its time, its failures and its folder, on commands that take made-up seconds."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

for library in ("torch", "transformers", "accelerate", "optimum"):
    pytest.importorskip(library, reason="`edgebert compress` needs it")

from edgebert.compress.search.report import FAILED, MEASURED, NOT_TRIED, REFUSED, Frontier  # noqa: E402
from edgebert.compress.search.search import search  # noqa: E402
from edgebert.errors import (  # noqa: E402
    CheckpointError,
    ConversionError,
    DataError,
    GateError,
    OptionError,
    OutputError,
    TargetError,
)
from tests.compress.distillation.checkpoints import save_bert, save_distilbert, write_data  # noqa: E402
from tests.compress.search.fake import FakeEdgebert, output  # noqa: E402

GRID = [
    "checkpoint", "trim", "trim-4", "trim-drop-1", "trim-ffn-48", "trim-layers-2", "trim-layers-2-ffn-32",
    "trim-layers-1", "trim-heads-2",
]  # fmt: skip
Search = Callable[..., Frontier]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    save_distilbert(folder / "model")
    write_data(folder, "text-classification").rename(folder / "train.tsv")
    write_data(folder, "text-classification", seed=1).rename(folder / "dev.tsv")
    return folder


@pytest.fixture
def fake() -> FakeEdgebert:
    return FakeEdgebert()


@pytest.fixture
def run(inputs: Path, tmp_path: Path, fake: FakeEdgebert) -> Search:
    def run(budget: float = 3600, *, checkpoint: Path = inputs / "model", **options: object) -> Frontier:
        given = {"data": [inputs / "train.tsv"], "evaluation": inputs / "dev.tsv", **options}
        return search(
            str(checkpoint),
            tmp_path / "out",
            budget=budget,
            runner=fake.runner,
            clock=fake.clock,
            **given,  # type: ignore[arg-type]
        )

    return run


def statuses(frontier: Frontier) -> dict[str, str]:
    return {point.name: point.status for point in frontier.points}


def test_time_for_everything(run: Search, fake: FakeEdgebert, tmp_path: Path) -> None:
    frontier = run()
    assert statuses(frontier) == dict.fromkeys(GRID, MEASURED)
    assert {point.steps for point in frontier.points if point.steps} == {600}  # a pass over the data
    assert frontier.whole.latency is not None and frontier.whole.latency.ratio == 1
    half = frontier.points[5]
    assert (half.best, half.bytes, half.score) == ("onnx-int8", 30_000_000, 0.85)
    assert half.latency is not None and (half.latency.p50, half.latency.ratio) == (4.0, 0.5)
    assert half.latency.lengths == {16: 2.0, 64: 8.0}
    assert json.loads((tmp_path / "out/frontier.json").read_text()) == json.loads(frontier.to_json())
    assert json.loads(frontier.to_json())["frontier"]["size"] == ["trim", "checkpoint"]
    assert (tmp_path / "out/frontier.html").is_file()
    assert not (tmp_path / "out/probe").exists()
    assert frontier.spent == pytest.approx(fake.now)


def test_every_round_measures_every_point_in_an_order_of_its_own(run: Search) -> None:
    measuring = run().measuring
    assert measuring is not None and len(measuring.order) == 3
    assert all(sorted(order) == sorted(GRID) for order in measuring.order)
    assert len(set(measuring.order)) > 1
    # All of a round are measured on the same texts, which the seed draws.
    seeds = [command.split()[command.split().index("--seed") + 1] for command in measuring.commands]
    assert seeds == [str(number) for number in range(3) for _ in GRID]


def test_commands_make_each_point_in_an_empty_folder(run: Search, inputs: Path, tmp_path: Path) -> None:
    for point in run().points:
        again = FakeEdgebert()
        folder = tmp_path / f"again-{point.name}"
        folder.mkdir()
        again.runner(folder, -1)
        for command in point.commands:
            assert shlex.split(command)[0] == "edgebert"
            assert again(shlex.split(command)[1:], timeout=1e9).code == 0
        assert (folder / f"{point.name}.edgebert").is_dir()
        assert str(inputs / "dev.tsv") in point.commands[-1]


@pytest.mark.parametrize("budget", [20, 40, 75, 120, 170, 260, 420, 700])
def test_it_ends_in_time(run: Search, fake: FakeEdgebert, budget: float) -> None:
    frontier = run(budget)
    assert fake.now <= budget
    found = statuses(frontier)
    assert list(found) == GRID and set(found.values()) <= {MEASURED, NOT_TRIED}
    for point in frontier.points:
        assert (point.latency is not None) == (point.status == MEASURED)
        assert ("needs about" in point.reason or "no time was left" in point.reason) == (point.status == NOT_TRIED)
    trained = {point.steps for point in frontier.points if point.steps}
    assert all(150 <= count <= 600 for count in trained)


def test_more_time_measures_more(run: Search, fake: FakeEdgebert) -> None:
    first = run(75)
    begun = len(fake.ran)
    assert 0 < list(statuses(first).values()).count(NOT_TRIED) < len(GRID)
    second = run(3600, resume=True)
    assert set(statuses(second).values()) == {MEASURED}
    made = [output(arguments) for arguments in fake.ran if arguments[0] != "bench" and output(arguments) != "probe"]
    assert len(made) == len(set(made)), "nothing is made twice"
    assert len(fake.ran) > begun and second.spent == pytest.approx(fake.now)


def test_a_training_that_takes_longer_is_stopped_and_goes_on(run: Search, fake: FakeEdgebert) -> None:
    fake.slower["trim-layers-2"] = 10_000
    frontier = run(600)
    assert fake.now <= 600
    stopped = frontier.points[5]
    assert stopped.status == NOT_TRIED and "stopped when the time was over" in stopped.reason
    assert statuses(frontier)["trim"] == MEASURED
    del fake.slower["trim-layers-2"]
    assert statuses(run(3600, resume=True))["trim-layers-2"] == MEASURED
    first, again = [arguments for arguments in fake.ran if output(arguments) == "trim-layers-2"]
    assert first == again and "--resume" in again  # other steps would be another training


def test_every_point_where_it_can_be_stopped(run: Search, fake: FakeEdgebert, tmp_path: Path) -> None:
    reached = 0
    for number in (0, 1, 2, 3, 7, 9, 11, 20):
        fake.stop_at = number
        if len(fake.ran) > number:
            continue
        with pytest.raises(KeyboardInterrupt):
            run(resume=True)
        reached += 1
        measured = any(arguments[0] == "bench" for arguments in fake.ran)
        assert (tmp_path / "out").is_dir() == measured, "nothing is kept before the checkpoint is measured"
    assert reached >= 4
    assert set(statuses(run(resume=True)).values()) == {MEASURED}
    made = [output(arguments) for arguments in fake.ran if arguments[0] != "bench" and output(arguments) != "probe"]
    assert len([name for name in made if name != "checkpoint.edgebert"]) == 2 * len(GRID) - 2


def test_a_kill_after_a_result_and_before_its_record(run: Search, fake: FakeEdgebert, tmp_path: Path) -> None:
    run(75)
    record = json.loads((tmp_path / "out/search.json").read_text())
    record["points"]["trim"] |= {"made": False, "converted": False}
    (tmp_path / "out/search.json").write_text(json.dumps(record))
    assert statuses(run(75, resume=True))["trim"] == MEASURED
    assert fake.outputs("trim-vocab").count("trim") == 1


def test_a_kill_before_anything_was_recorded(run: Search, fake: FakeEdgebert, tmp_path: Path) -> None:
    run(75)
    record = json.loads((tmp_path / "out/search.json").read_text())
    (tmp_path / "out/search.json").write_text(json.dumps({**record, "points": {}, "times": {}, "spent": 0}))
    assert statuses(run(75, resume=True))["trim"] == MEASURED
    assert json.loads((tmp_path / "out/search.json").read_text())["times"]["convert"] == 10


def test_points_that_fail_stay_in_the_table(run: Search, fake: FakeEdgebert) -> None:
    fake.fails = {
        "trim-4.edgebert": (3, "Error: 2 of 2 artifacts did not pass:\n  onnx-int8 refused\n\nHint: none.\n"),
        "trim-drop-1": (1, "Error: no layer of that kind.\nHint: Another.\n"),
        "trim-layers-1": (-9, ""),
    }
    frontier = run()
    found = statuses(frontier)
    assert (found["trim-4"], found["trim-drop-1"], found["trim-layers-1"]) == (REFUSED, FAILED, FAILED)
    reasons = {point.name: point.reason for point in frontier.points}
    assert "onnx-int8 refused: accuracy falls by 0.2" in reasons["trim-4"]
    assert reasons["trim-drop-1"] == "no layer of that kind."
    assert "SIGKILL" in reasons["trim-layers-1"]
    assert list(found.values()).count(MEASURED) == len(GRID) - 3
    assert all(point.commands for point in frontier.points)


def test_without_trimming_the_others_begin_with_the_checkpoint(run: Search, fake: FakeEdgebert) -> None:
    fake.fails = {"trim": (1, "Error: train.tsv: nothing to trim.\nHint: Give --min-count.\n")}
    found = statuses(run())
    assert found["trim"] == FAILED and found["layers-2"] == MEASURED and "trim-layers-2" not in found


def test_a_probe_that_fails_is_of_that_point_alone(run: Search, fake: FakeEdgebert) -> None:
    fake.fails = {"probe": (1, "Error: it cannot be trained.\nHint: Look.\n")}
    found = statuses(run())
    assert [found[name] for name in GRID[5:]] == [FAILED] * 4
    assert found["trim-drop-1"] == MEASURED


def test_what_cannot_be_measured_here_is_still_converted(run: Search, fake: FakeEdgebert) -> None:
    reason = '{"artifacts": [{"reason": "needs aarch64", "measurements": null}]}'
    fake._bench = lambda arguments, out: reason  # type: ignore[method-assign]
    frontier = run()
    assert set(statuses(frontier).values()) == {MEASURED}
    assert all(point.latency is None for point in frontier.points)
    assert frontier.measuring is None and "needs aarch64" in frontier.notes[0]


@pytest.mark.parametrize("budget", [3, 10.5])
def test_a_budget_too_short_for_the_checkpoint(run: Search, tmp_path: Path, budget: float) -> None:
    with pytest.raises(OptionError, match="is too short: the checkpoint itself") as caught:
        run(budget)
    assert "--budget" in caught.value.hint and not (tmp_path / "out").exists()


@pytest.mark.parametrize(("code", "kind"), [(3, GateError), (1, ConversionError)])
def test_a_checkpoint_that_cannot_be_converted(
    run: Search, fake: FakeEdgebert, tmp_path: Path, code: int, kind: type[ConversionError]
) -> None:
    fake.fails = {"checkpoint.edgebert": (code, "Error: it is broken.\nHint: Mend it.\n")}
    with pytest.raises(kind, match="The checkpoint itself cannot be converted: it is broken"):
        run()
    assert not (tmp_path / "out").exists()


def test_a_full_disk_ends_it_and_it_goes_on(
    run: Search, fake: FakeEdgebert, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    full = f"Error: Cannot write 'trim': {os.strerror(28)}.\nHint: Free space.\n"
    fake.fails = {"trim": (1, full)}
    with pytest.raises(OutputError, match=os.strerror(28)):
        run()
    fake.fails = {}
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
        with pytest.raises(OutputError, match=os.strerror(28)):
            run(resume=True)
    assert set(statuses(run(resume=True)).values()) == {MEASURED}


def test_the_folder(run: Search, inputs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        run(75)
    with pytest.raises(OutputError, match="is not the folder of a search"):
        run(75, resume=True)
    (out / "thesis.txt").unlink()
    out.rmdir()
    run(75, resume=True)  # begins, where there is nothing
    with pytest.raises(OutputError, match="holds a search with another data"):
        run(75, resume=True, data=[inputs / "dev.tsv"])
    lock = os.open(out, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with pytest.raises(OutputError, match="in use by another process"):
        run(75, resume=True)
    os.close(lock)
    for content in ("no json", "[]", '{"format": "edgebert-search/1"}'):
        (out / "search.json").write_text(content)
        with pytest.raises(OutputError):
            run(75, resume=True)


def test_names_that_are_not_utf_8(run: Search, inputs: Path, tmp_path: Path) -> None:
    data = tmp_path / os.fsdecode(b"\xff<b>.tsv")
    data.write_bytes((inputs / "train.tsv").read_bytes())
    first = run(75, data=[data])
    again = run(75, data=[data], resume=True)
    assert again.points[1].commands == first.points[1].commands and str(data) in first.points[1].commands[0]
    assert "\ufffd&lt;b&gt;.tsv" in (tmp_path / "out/frontier.html").read_text(encoding="utf-8")


def test_what_is_given(run: Search, inputs: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.tsv").touch()
    (tmp_path / "header.tsv").write_text("sentence\tlabel\n")
    (tmp_path / "labels.tsv").write_text("sentence\tlabel\ngood\tmaybe\n")
    for name, reason in {
        "none.tsv": "cannot be read",
        "empty.tsv": "empty",
        "header.tsv": "no rows|nothing in it to train on",
        "labels.tsv": "maybe",
    }.items():
        with pytest.raises(DataError, match=reason):
            run(data=[tmp_path / name])
        with pytest.raises(DataError, match=reason):
            run(evaluation=tmp_path / name)
    with pytest.raises(DataError, match="no training data"):
        run(data=[])
    with pytest.raises(DataError, match="is given twice"):
        run(data=[inputs / "train.tsv"] * 2)
    with pytest.raises(TargetError):
        run(target="toaster")
    with pytest.raises(CheckpointError):
        run(checkpoint=tmp_path / "none")
    with pytest.raises(CheckpointError, match="a BERT"):
        run(checkpoint=save_bert(tmp_path / "bert"))
    for budget in (0, -1, float("nan"), float("inf")):
        with pytest.raises(OptionError, match="budget="):
            run(budget)
    assert not (tmp_path / "out").exists()
