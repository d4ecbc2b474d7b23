"""Two bundles become one: measured, fitted, judged, written whole."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgebert._version import __version__
from edgebert.bundle import MANIFEST_NAME, Bundle, BundleWriter, Cascade, FileRef, open_bundle, output_error
from edgebert.bundle.interrupt import watch_interrupt
from edgebert.bundle.schema import CASCADED
from edgebert.compress.cascade.answers import Logits, answer_all
from edgebert.compress.cascade.fit import calibration_error, fit_temperature, fit_threshold, halves
from edgebert.compress.cascade.html import to_html
from edgebert.compress.cascade.report import CascadeReport, Pair
from edgebert.compress.distillation.origin import now
from edgebert.convert.evaluation.texts import EvalColumns, EvalSet, load_eval
from edgebert.convert.machine import machine_facts
from edgebert.devices import find_runtimes
from edgebert.errors import BundleError, DataError, GateError, OptionError, OutputError
from edgebert.runtime import load
from edgebert.runtime.cascade import confidence

BIGGER = "bigger"
"""Folder of the bigger bundle."""
MIN_TEXTS = 100
_CURVE_POINTS = 41


def make_cascade(
    small: str | Path,
    big: str | Path,
    out: str | Path,
    *,
    evaluation: str | Path,
    max_drop: float = 0.003,
    columns: EvalColumns | None = None,
    limit: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
    command: Sequence[str] = (),
    progress: Callable[[str], None] = lambda line: None,
) -> CascadeReport:
    """Make one bundle of two: the small one answers where it is sure enough, else the bigger one.

    Every artifact of both that runs here answers the evaluation file. On one half of it temperature and threshold are
    fitted (:mod:`edgebert.compress.cascade.fit`), so that no pair of artifacts loses more than ``max_drop``; on the
    other half every pair is measured, and the cascade is refused if one of them lost more.

    Args:
        small: a bundle for text classification with one label of several.
        big: a bundle for the same labels, which may be a cascade.
        out: the bundle to write.
        evaluation: texts with right answers, as for :func:`edgebert.convert.pipeline.convert`.
        max_drop: the largest drop of accuracy against the bigger bundle alone, from 0 to 1.
        columns: columns of the evaluation file.
        limit: use at most this many rows of it.
        seed: of the halves.
        overwrite: replace an older bundle.
        command: the command line, for the evidence.
        progress: called with a line before each step.

    Returns:
        The evidence, as written into the bundle.

    Raises:
        GateError: the cascade loses more than it may on the second half, or the small bundle answers nothing;
            ``report`` holds the evidence.
        BundleError: the bundles cannot be a cascade, or one cannot be read.
        SelectionError: of one of them no artifact runs here.
        DataError, OptionError, OutputError: what was given is not usable.
    """
    if not 0 <= max_drop <= 1:
        raise OptionError(
            f"max_drop={max_drop!r} is not allowed.", option="max_drop", hint="Use a share such as 0.003 (0.3 points)."
        )
    first, second = _open(Path(small)), open_bundle(big)
    _check(first, second)
    with watch_interrupt() as stop_if_interrupted, BundleWriter(Path(out), overwrite=overwrite) as writer:
        _check_space(writer.staging, first, second)
        data = _read(evaluation, first, columns or EvalColumns(), limit)
        answers, absent = answer_all(first, data.inputs, progress)
        stop_if_interrupted()
        bigger, bigger_absent = answer_all(second, data.inputs, progress)
        stop_if_interrupted()
        report = _measure(Path(out).name.removesuffix(".edgebert"), data, answers, bigger, max_drop=max_drop, seed=seed)
        report = replace(
            report,
            bundles={"small": _described(first), "big": _described(second)},
            absent={"small": absent, "big": bigger_absent},
            tools=_tools({*answers, *bigger}),
            command=tuple(command),
        )
        _judge(report)
        progress("write")
        _copy(first, writer.staging, [ref.path for ref in first.manifest.files])
        inner = [MANIFEST_NAME, *(ref.path for ref in second.manifest.files)]
        _copy(second, writer.staging / BIGGER, inner)
        stop_if_interrupted()
        files = tuple(writer.ref(f"{BIGGER}/{path}") for path in inner)
        writer.commit(
            replace(first.manifest, name=report.name, cascade=_cascade(report, writer, files)), check=_run_once
        )
    return report


def _open(path: Path) -> Bundle:
    bundle = open_bundle(path)
    if bundle.manifest.cascade is not None:
        raise BundleError(
            f"'{path}' is a cascade, and is given as the small bundle.",
            hint="Give it as the bigger one, or give one that is not a cascade.",
        )
    return bundle


def _check(small: Bundle, big: Bundle) -> None:
    one, other = small.manifest.task, big.manifest.task
    if small.digest == big.digest:
        raise BundleError(f"'{small.path}' is given as both bundles.", hint="Give a smaller and a bigger one.")
    if one.name != other.name or one.problem_type != other.problem_type:
        raise BundleError(
            f"'{small.path}' and '{big.path}' are for two tasks: {_task(small)}, and {_task(big)}.",
            hint="Give two bundles for the same task.",
        )
    if one.problem_type != CASCADED or len(one.labels) < 2:
        raise BundleError(
            f"'{small.path}' is for {_task(small)}, of which there are no cascades.",
            hint="A cascade needs text classification with one label of several.",
        )
    if one.labels != other.labels:
        missing = [label for label in one.labels if label not in other.labels]
        missing += [label for label in other.labels if label not in one.labels]
        said = f"only one of them has {', '.join(missing[:8])}" if missing else "they are the same in another order"
        raise BundleError(
            f"The labels of '{small.path}' and '{big.path}' differ: {said}.",
            hint="Give two bundles with the same labels in the same order (id2label in the checkpoint's config.json).",
        )


def _task(bundle: Bundle) -> str:
    task = bundle.manifest.task
    return task.name + (f" ({task.problem_type}, {len(task.labels)} labels)" if task.problem_type else "")


def _check_space(staging: Path, *bundles: Bundle) -> None:
    needed = sum(ref.size for bundle in bundles for ref in bundle.manifest.files)
    free = shutil.disk_usage(staging).free
    if free < needed:
        raise OutputError(
            f"The cascade needs {needed / 1e6:,.0f} MB beside '{staging.parent}', {free / 1e6:,.0f} MB are free.",
            hint="Free some space, or write it to another disk.",
        )


def _read(path: str | Path, bundle: Bundle, columns: EvalColumns, limit: int | None) -> EvalSet:
    task = bundle.manifest.task
    assert task.problem_type is not None
    data = load_eval(
        path,
        task.labels,
        problem_type=task.problem_type,
        text_column=columns.text,
        pair_column=columns.pair,
        label_column=columns.label,
        limit=limit,
    )
    if len(data.inputs) < MIN_TEXTS:
        raise DataError(
            f"{path}: {len(data.inputs)} texts are too few to fit a cascade on one half and measure it on the other.",
            hint=f"Give at least {MIN_TEXTS}; some thousand tell more.",
        )
    return data


def _measure(
    name: str,
    data: EvalSet,
    answers: dict[str, Logits],
    bigger: dict[str, Logits],
    *,
    max_drop: float,
    seed: int,
) -> CascadeReport:
    right = np.asarray(data.labels)
    fit, held = halves(len(right), seed)
    temperature = fit_temperature(
        np.concatenate([logits[fit] for logits in answers.values()]), np.tile(right[fit], len(answers))
    )
    sure = {artifact: confidence(logits, temperature) for artifact, logits in answers.items()}
    correct = {artifact: logits.argmax(axis=1) == right for artifact, logits in answers.items()}
    correct_big = {artifact: logits.argmax(axis=1) == right for artifact, logits in bigger.items()}
    thresholds = {
        (one, other): fit_threshold(sure[one][fit], correct[one][fit], correct_big[other][fit], max_drop)
        for one in answers
        for other in bigger
    }
    threshold = max(thresholds.values())
    pairs = tuple(
        _pair(one, other, needed, sure[one][held] < threshold, correct[one][held], correct_big[other][held])
        for (one, other), needed in thresholds.items()
    )
    report = CascadeReport(
        name=name,
        bundles={},
        evaluation={"path": data.path, "sha256": data.sha256},
        fitted_on=len(fit),
        texts=len(held),
        seed=seed,
        max_drop=max_drop,
        temperature=temperature,
        threshold=threshold,
        calibration_error={
            artifact: (
                calibration_error(confidence(logits, 1.0)[held], correct[artifact][held]),
                calibration_error(sure[artifact][held], correct[artifact][held]),
            )
            for artifact, logits in answers.items()
        },
        pairs=pairs,
        curve=(),
        absent={},
        machine=machine_facts(),
        tools={},
        command=(),
        created=now(),
    )
    worst = report.worst
    curve = _curve(sure[worst.small][held], correct[worst.small][held], correct_big[worst.big][held])
    return replace(report, curve=curve)


def _pair(
    small: str,
    big: str,
    needed: float,
    unsure: NDArray[np.bool_],
    correct: NDArray[np.bool_],
    correct_big: NDArray[np.bool_],
) -> Pair:
    own = np.where(unsure, correct_big, correct)
    return Pair(
        small=small,
        big=big,
        threshold=needed,
        escalated=float(unsure.mean()),
        accuracy=float(own.mean()),
        small_accuracy=float(correct.mean()),
        big_accuracy=float(correct_big.mean()),
        lost=int((correct_big & ~own).sum()),
        gained=int((own & ~correct_big).sum()),
    )


def _curve(
    sure: NDArray[np.float64], correct: NDArray[np.bool_], correct_big: NDArray[np.bool_]
) -> tuple[tuple[float, float], ...]:
    order = np.argsort(sure, kind="stable")
    points = []
    for share in np.linspace(0, 1, _CURVE_POINTS):
        count = round(share * len(order))
        own = np.concatenate([correct_big[order[:count]], correct[order[count:]]])
        points.append((count / len(order), float(own.mean())))
    return tuple(points)


def _judge(report: CascadeReport) -> None:
    hint = "No bundle was written. Give a better small bundle, a longer evaluation file, or a larger --max-drop."
    if report.threshold >= 1.0:
        raise GateError(
            f"The small bundle is never sure enough: on the {report.fitted_on:,} texts to fit on, it loses more than "
            f"{report.max_drop:.2%} of accuracy with any threshold.",
            hint=hint,
            report=report,
        )
    worst = report.worst
    if worst.drop > report.max_drop + 1e-9:
        raise GateError(
            f"On the {report.texts:,} texts that it was not fitted on, the cascade of {worst.small} and {worst.big} "
            f"loses {worst.drop:.2%} of accuracy ({worst.lost} texts lost, {worst.gained} gained); "
            f"{report.max_drop:.2%} is allowed.",
            hint=hint,
            report=report,
        )


def _copy(bundle: Bundle, target: Path, paths: Sequence[str]) -> None:
    for path in paths:
        try:
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(bundle.path / path, target / path)
        except OSError as error:
            raise output_error(error, target / path) from error


def _cascade(report: CascadeReport, writer: BundleWriter, files: tuple[FileRef, ...]) -> Cascade:
    return Cascade(
        bundle=BIGGER,
        files=files,
        temperature=report.temperature,
        threshold=report.threshold,
        headline=report.headline,
        evidence=writer.write("cascade.json", report.to_json()),
        report=writer.write("cascade.html", to_html(report).encode()),
    )


def _run_once(bundle: Path) -> None:
    """Use the new bundle as a device would, before it takes the place of an older one."""
    with load(bundle, strict=True) as model:
        model("A bundle that cannot answer is not written.")


def _described(bundle: Bundle) -> dict[str, str]:
    manifest = bundle.manifest
    return {"name": manifest.name, "digest": bundle.digest, "checkpoint": manifest.provenance.checkpoint}


def _tools(artifacts: set[str]) -> dict[str, str]:
    versions = {"edgebert": __version__, "python": platform.python_version()}
    versions |= {name: metadata.version(name) for name in ("numpy", "tokenizers")}
    backends = {artifact.partition("-")[0] for artifact in artifacts}
    found = {runtime.distribution: runtime.version for runtime in find_runtimes() if runtime.backend in backends}
    return versions | {name: version for name, version in found.items() if version is not None}
