"""The search: a grid of smaller checkpoints under a time budget, each made, converted and measured by commands."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from edgebert.bundle.output import output_error
from edgebert.compress.distillation.checks import check_output
from edgebert.compress.distillation.origin import now, versions
from edgebert.compress.search.budget import Budget
from edgebert.compress.search.commands import Processes, Runner
from edgebert.compress.search.folder import SearchFolder
from edgebert.compress.search.inputs import Given, read_inputs
from edgebert.compress.search.latency import Latencies, bench_arguments, drifts, lengths_for, measure
from edgebert.compress.search.page import to_html
from edgebert.compress.search.recipes import bundle_of
from edgebert.compress.search.report import JSON_NAME, PAGE_NAME, Frontier
from edgebert.compress.search.results import point_result
from edgebert.compress.search.work import Work
from edgebert.devices import describe_machine
from edgebert.errors import OptionError, OutputError

TEXTS_NAME = "texts.txt"
"""The file in the folder with the texts of the evaluation file that latency is measured on."""


def search(
    checkpoint: str,
    out: Path,
    *,
    data: Sequence[Path],
    evaluation: Path,
    budget: float,
    target: str = "x86-cpu",
    resume: bool = False,
    command: Sequence[str] = (),
    progress: Callable[[str], object] | None = None,
    runner: Callable[[Path, int], Runner] = Processes,
    clock: Callable[[], float] = time.monotonic,
) -> Frontier:
    """Tries smaller checkpoints, and measures size, accuracy and latency of each beside the one that was given.

    Points without training come first. Then a few steps of a training are timed, and as many trainings begun as fit
    with at least a quarter of a pass over the data each. At last the latency of all is measured in one run, in rounds
    whose order is drawn. A point that cannot be made, or that the gate refuses, is reported and does not stop the
    others. What is finished is kept, whatever ends the search.

    Args:
        checkpoint: a DistilBERT directory, or a name on the Hugging Face hub.
        out: the folder to make; its parent must exist.
        data: what to train on, and to take the vocabulary from, as ``edgebert distill`` takes it.
        evaluation: right answers, as ``edgebert convert`` takes them.
        budget: seconds for all of it, over all runs; reading what is given before the first command is not counted.
        target: the target that every point is converted for.
        resume: go on with what is in ``out``; begin, if there is nothing.
        command: the command line, for the report.
        progress: is told a line whenever something begins.
        runner: makes what runs the commands, of the folder and of the descriptor that locks it.
        clock: seconds that only grow.

    Returns:
        What ``frontier.json`` in ``out`` holds, and ``frontier.html`` shows.

    Raises:
        CheckpointError, DataError, TargetError: what was given is not usable.
        OptionError: the budget is too short for the checkpoint itself.
        ConversionError: the checkpoint itself cannot be converted; a ``GateError`` where the gate refuses it.
        OutputError: ``out`` is somebody else's, or the disk is full.
    """
    if not 0 < budget < float("inf"):
        raise OptionError(f"budget={budget:g} s is not allowed.", option="budget", hint="Use a time above 0, as 30m.")
    tell = progress or (lambda line: None)
    if not resume or not out.exists():
        _check_free(out)
    tell("reading what is given")
    given = read_inputs(checkpoint, data, evaluation, target)
    folder = SearchFolder(out, _arguments(given), resume=resume)
    clocked = Budget(budget, folder.record.spent, clock)
    try:
        if folder.created and given.texts:
            folder.write(TEXTS_NAME, ("\n".join(given.texts) + "\n").encode())
        work = Work(given, folder, clocked, runner(folder.path, folder.lock), tell, TEXTS_NAME if given.texts else None)
        try:
            work.convert_whole()
        except BaseException:
            if folder.created:
                folder.remove()
            raise
        work.try_points()
        latencies = _measure(work, tell)
        frontier = _frontier(work, latencies, budget, command)
        folder.write(JSON_NAME, frontier.to_json())
        folder.write(PAGE_NAME, to_html(frontier).encode())
        return frontier
    except OSError as error:
        raise output_error(error, folder.path) from error
    finally:
        if folder.path.is_dir():
            folder.record.spent = clocked.spent
            _save_quietly(folder)
        folder.close()


def _check_free(out: Path) -> None:
    """Refuses before anything is read what exists; a search is told apart when it is to be resumed."""
    try:
        check_output(out)
    except OutputError as error:
        if out.is_dir():
            hint = "Choose another folder, or go on with the search in it with --resume."
            raise OutputError(error.message, hint=hint) from error
        raise


def _save_quietly(folder: SearchFolder) -> None:
    """Keeps the time that was spent, if that is possible: what ends the search is worth more than this."""
    try:
        folder.save()
    except OutputError:
        return


def _arguments(given: Given) -> dict[str, object]:
    """What the result depends on."""
    return {
        "checkpoint": given.files,
        "data": given.data_sha256,
        "evaluation": given.evaluation_sha256,
        "target": given.target,
    }


def _measure(work: Work, tell: Callable[[str], object]) -> Latencies | None:
    """The latency of every point that has a bundle; ``None`` where this machine cannot measure any."""
    if work.record.unmeasurable:
        return None
    texts = TEXTS_NAME if work.given.texts else None
    lengths = lengths_for(work.given.max_length)
    best = work.best_artifacts()
    points = {
        name: lambda seed, name=name, artifact=artifact: bench_arguments(
            bundle_of(name), artifact, lengths, texts, seed
        )
        for name, artifact in best.items()
    }

    def go_on(number: int) -> bool:
        if number == 0 or work.budget.left >= work.record.times["bench"] * len(points):
            tell(f"measuring the latency of {len(points)} points, round {number + 1}")
            return True
        return False

    said = f"{len(work.given.texts)} texts of the evaluation file" if texts else "the built-in texts"
    return measure(points, next(iter(points)), work.run_bench, texts=said, go_on=go_on)


def _frontier(work: Work, latencies: Latencies | None, budget: float, command: Sequence[str]) -> Frontier:
    given, record = work.given, work.record
    points = tuple(point_result(work, point, latencies) for point in work.points)
    whole = work.evidence(work.points[0].name)
    assert whole is not None  # without it there is no search
    notes = [] if latencies is None else drifts(latencies.points)
    if record.unmeasurable:
        notes.append(f"latency was not measured: {record.unmeasurable}")
    machine = describe_machine()
    return Frontier(
        checkpoint=given.source,
        files=given.files,
        task=given.task,
        metric=whole.metric,
        evaluation={"path": given.evaluation, "sha256": given.evaluation_sha256, "rows": whole.rows},
        data=[{"path": path, "sha256": digest} for path, digest in zip(given.data, given.data_sha256, strict=True)],
        target=given.target,
        budget=budget,
        spent=round(work.budget.spent, 1),
        machine=json.loads(json.dumps(asdict(machine), default=sorted)),
        versions={**versions(), **whole.tools},
        measuring=None if latencies is None else latencies.measuring,
        notes=tuple(notes),
        points=points,
        command=tuple(command),
        created=now(),
    )
