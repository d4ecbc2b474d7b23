"""Two bundles become a cascade: what it is measured to do, what is written, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import edgebert
from edgebert.bundle import open_bundle
from edgebert.compress.cascade.pipeline import make_cascade
from edgebert.compress.cascade.report import CascadeReport
from edgebert.errors import BundleError, DataError, GateError, ManifestError, OptionError, OutputError
from tests.compress.cascade.conftest import KIND, LABELS, bundle
from tests.runtime import tiny


def make(folder: Path, out: Path, small: str = "near", **options: object) -> CascadeReport:
    return make_cascade(
        folder / f"{small}.edgebert",
        folder / "big.edgebert",
        out,
        **{"evaluation": folder / "eval.tsv", "max_drop": 0.02, **options},  # type: ignore[arg-type]
    )


def left(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def rows(folder: Path) -> list[tuple[str, str]]:
    lines = (folder / "eval.tsv").read_text().splitlines()[1:]
    return [(text, label) for text, label in (line.split("\t") for line in lines)]


def test_what_is_reported_is_what_the_bundle_does(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "both.edgebert"
    report = make(folder, out, command=["edgebert", "cascade"])
    [pair] = report.pairs
    assert report.fitted_on == report.texts == 120
    assert pair.drop <= 0.02 and pair.small_accuracy < pair.big_accuracy == 1.0
    assert 0 < pair.escalated < 1
    from edgebert.compress.cascade.fit import halves

    data = rows(folder)
    held = [data[index] for index in halves(len(data), 0)[1]]
    with edgebert.load(out) as model:
        stream = model.stream(text for text, _ in held)
        answers = [answer["label"] for answer in stream]
    right = sum(answer == label for answer, (_, label) in zip(answers, held, strict=True))
    assert right / len(held) == pytest.approx(pair.accuracy)
    assert stream.escalations.share == pytest.approx(pair.escalated)


def test_what_is_written(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "both.edgebert"
    report = make(folder, out)
    opened = open_bundle(out)
    opened.verify_all()
    cascade = opened.manifest.cascade
    assert cascade is not None and opened.manifest.name == "both"
    assert cascade.headline == report.headline
    assert (cascade.temperature, cascade.threshold) == (report.temperature, report.threshold)
    document = json.loads((out / "cascade.json").read_text())
    assert document == json.loads(report.to_json())
    assert document["bundles"]["big"]["digest"] == open_bundle(folder / "big.edgebert").digest
    assert open_bundle(out / "bigger").manifest == open_bundle(folder / "big.edgebert").manifest
    page = (out / "cascade.html").read_text()
    assert f"{report.worst.escalated:.1%} of 120 texts go to the bigger model" in page
    assert page.count("<svg") == 1 and "<script" not in page and page.count("<tbody>") == 1


def test_the_curve_ends_with_the_bigger_one_alone(folder: Path, tmp_path: Path) -> None:
    report = make(folder, tmp_path / "both.edgebert")
    assert report.curve[0] == (0.0, pytest.approx(report.worst.small_accuracy))
    assert report.curve[-1] == (1.0, pytest.approx(report.worst.big_accuracy))


def test_a_cascade_may_be_the_bigger_one(folder: Path, tmp_path: Path) -> None:
    make(folder, tmp_path / "two.edgebert")
    report = make_cascade(
        folder / "near.edgebert",
        tmp_path / "two.edgebert",
        tmp_path / "three.edgebert",
        evaluation=folder / "eval.tsv",
        max_drop=0.05,
    )
    assert report.pairs
    with edgebert.load(tmp_path / "three.edgebert") as model:
        model("good")
    with pytest.raises(BundleError, match="is a cascade, and is given as the small bundle"):
        make_cascade(
            tmp_path / "two.edgebert",
            folder / "big.edgebert",
            tmp_path / "no.edgebert",
            evaluation=folder / "eval.tsv",
        )


def test_a_small_model_that_knows_nothing_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(GateError, match=r"is never sure enough|loses") as told:
        make(folder, tmp_path / "both.edgebert", "far", max_drop=0.0)
    assert isinstance(told.value.report, CascadeReport)
    assert left(tmp_path) == []


def test_what_it_loses_on_the_other_half_is_judged(folder: Path, tmp_path: Path) -> None:
    """Of some split, the half to fit on is the luckier one."""
    for seed in range(30):
        try:
            report = make(folder, tmp_path / f"{seed}.edgebert", seed=seed, max_drop=0.0)
        except GateError as error:
            if "texts that it was not fitted on" in error.message:
                assert isinstance(error.report, CascadeReport) and error.report.worst.drop > 0
                assert not (tmp_path / f"{seed}.edgebert").exists()
                return
        else:
            assert report.worst.drop <= 0
    pytest.fail("no split was unlucky")


def test_an_older_bundle_is_replaced_only_when_asked(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "both.edgebert"
    make(folder, out)
    with pytest.raises(OutputError, match="exists"):
        make(folder, out)
    make(folder, out, overwrite=True)


def test_labels_that_differ(folder: Path, tmp_path: Path) -> None:
    for labels, said in (
        (("BAD", "NEUTRAL", "POSITIVE"), "only one of them has BAD, NEGATIVE"),
        (LABELS[::-1], "they are the same in another order"),
    ):
        small = bundle(tmp_path / f"{labels[0]}.edgebert", tiny.make_checkpoint(KIND, labels))
        with pytest.raises(BundleError, match=said):
            make_cascade(small, folder / "big.edgebert", tmp_path / "c.edgebert", evaluation=folder / "eval.tsv")


@pytest.mark.parametrize("kind", ["regression", "multi_label_classification"])
def test_tasks_that_differ_or_have_no_cascade(folder: Path, tmp_path: Path, kind: str) -> None:
    labels = LABELS[:1] if kind == "regression" else LABELS
    small = bundle(tmp_path / "s.edgebert", tiny.make_checkpoint(kind, labels))
    other = bundle(tmp_path / "o.edgebert", tiny.make_checkpoint(kind, labels, seed=1))
    with pytest.raises(BundleError, match=f"are for two tasks: .*{kind}"):
        make_cascade(small, folder / "big.edgebert", tmp_path / "c.edgebert", evaluation=folder / "eval.tsv")
    with pytest.raises(BundleError, match="of which there are no cascades"):
        make_cascade(small, other, tmp_path / "c.edgebert", evaluation=folder / "eval.tsv")


def test_the_same_bundle_twice(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="is given as both bundles"):
        make(folder, tmp_path / "c.edgebert", "big")


def test_files_that_cannot_be_used(folder: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.tsv"
    short.write_text("\n".join((folder / "eval.tsv").read_text().splitlines()[:50]) + "\n")
    with pytest.raises(DataError, match="49 texts are too few"):
        make(folder, tmp_path / "c.edgebert", evaluation=short)
    with pytest.raises(DataError, match="99 texts are too few"):
        make(folder, tmp_path / "c.edgebert", limit=99)
    with pytest.raises(DataError, match=r"none\.tsv"):
        make(folder, tmp_path / "c.edgebert", evaluation=tmp_path / "none.tsv")
    with pytest.raises(OptionError, match=r"max_drop=1\.5"):
        make(folder, tmp_path / "c.edgebert", max_drop=1.5)
    assert left(tmp_path) == ["short.tsv"]


def test_a_damaged_bundle_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    damaged = shutil.copytree(folder / "big.edgebert", tmp_path / "damaged.edgebert")
    (damaged / "manifest.json").write_text("{}")
    with pytest.raises(ManifestError, match=r"damaged\.edgebert"):
        make_cascade(folder / "near.edgebert", damaged, tmp_path / "c.edgebert", evaluation=folder / "eval.tsv")
    assert left(tmp_path) == ["damaged.edgebert"]
