"""The converter: from a checkpoint to a bundle in which every artifact has passed the gate."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from edgebert.bundle import BundleWriter
from edgebert.bundle.interrupt import hold_interrupt, watch_interrupt
from edgebert.convert.builder import SCRATCH, Builder, GateOverrides
from edgebert.convert.checkpoint import Checkpoint, load_checkpoint
from edgebert.convert.evaluation.texts import EvalColumns, load_calibration
from edgebert.convert.mediapipe import LAYOUT, MediapipeFiles
from edgebert.convert.mediapipe_evidence import Material
from edgebert.convert.progress import Progress, Silent
from edgebert.convert.quiet import captured_output
from edgebert.convert.report import PASSED, REFUSED, Report
from edgebert.convert.target import ArtifactSpec, Target, load_target
from edgebert.convert.tasks import open_evidence
from edgebert.errors import ConversionError, GateError, OptionError, OutputError, TargetError
from edgebert.runtime import load
from edgebert.runtime.tokenization import TextTokenizer

_SIZE = {"fp32": 1.0, "fp16": 0.5, "int8": 0.35}
_SPARE_BYTES = 64 << 20


def convert(
    source: str,
    out: str | Path,
    *,
    targets: Sequence[str],
    evaluation: str | Path | None = None,
    columns: EvalColumns | None = None,
    limit: int | None = None,
    calibration: str | Path | None = None,
    task: str = "auto",
    revision: str | None = None,
    allow_pickle: bool = False,
    overwrite: bool = False,
    overrides: GateOverrides | None = None,
    drop_failing: bool = False,
    layout: str | None = None,
    command: Sequence[str] = (),
    progress: Progress | None = None,
) -> Report:
    """Convert a checkpoint into a bundle for the given targets.

    Every artifact is run in its real backend and compared with the float32 checkpoint. If one fails, no bundle is
    written (see ``drop_failing``), the others are still measured, and the error carries the report.

    Args:
        source: a checkpoint directory, or a name on the Hugging Face hub.
        out: the bundle to write, e.g. ``sst2.edgebert``.
        targets: names of installed targets, or paths of target folders.
        evaluation: a file with right answers, for the task's metrics, in the form that the task has: TSV, CSV, JSONL,
            CoNLL columns, SQuAD JSON; without it answers are compared on the calibration texts.
        columns: columns of the evaluation file.
        limit: use at most this many rows of the evaluation file.
        calibration: texts to calibrate quantization with, one a line; ``None`` for the built-in set.
        task: the task, or ``"auto"`` to find it from the checkpoint.
        revision: branch, tag or commit, for a hub name.
        allow_pickle: accept ``pytorch_model.bin``.
        overwrite: replace an older bundle.
        overrides: gate limits in place of the targets'.
        drop_failing: leave artifacts that fail out of the bundle instead of failing.
        layout: ``"mediapipe"`` makes a file for MediaPipe Tasks of each TFLite artifact as well, beside the bundle.
        command: the command line, for the provenance.
        progress: told where the conversion is.

    Returns:
        The evidence, as written into the bundle.

    Raises:
        GateError: an artifact is not good enough; ``report`` holds the evidence.
        ConversionError: an artifact could not be made or run; ``report`` holds the evidence.
        CheckpointError, TargetError, DataError, OutputError: what was given is not usable.
    """
    progress = progress or Silent()
    if layout not in (None, LAYOUT):
        raise OptionError(
            f"layout={layout!r} is not allowed.", option="layout", hint=f"Use {LAYOUT!r}, or None for a bundle alone."
        )
    wanted = _load_targets(targets)
    out = Path(out)
    _check_name(out)
    with watch_interrupt() as stop_if_interrupted, BundleWriter(out, overwrite=overwrite) as writer:
        progress.stage("libraries")
        _import_libraries()
        progress.stage("checkpoint")
        checkpoint = load_checkpoint(source, revision=revision, allow_pickle=allow_pickle, task=task)
        tokenizer = TextTokenizer(checkpoint.tokenizer_json, max_length=checkpoint.max_length, pad_id=checkpoint.pad_id)
        evidence = open_evidence(checkpoint.task, tokenizer)
        answers = None if evaluation is None else evidence.read(evaluation, columns or EvalColumns(), limit)
        texts = load_calibration(calibration)
        specs = _specs(wanted)
        overrides = overrides or GateOverrides()
        files = None
        if layout is not None:
            material = Material(checkpoint, evidence, tokenizer, wanted, answers, texts, asdict(overrides))
            files = MediapipeFiles(out, specs, material, overwrite=overwrite)
        _check_space(out, checkpoint, [*specs, *(files.specs if files else ())])

        progress.stage("graph")
        builder = Builder(checkpoint, evidence, tokenizer, wanted, answers, texts, writer, overrides, progress)
        outcomes = []
        for spec in specs:
            outcome = builder.make(spec)
            stop_if_interrupted()
            progress.finished(spec.id, outcome.status)
            outcomes.append(outcome)
        writer.remove(SCRATCH)

        report = builder.report(out, evaluation, calibration, outcomes)
        _refuse(report, drop_failing=drop_failing)
        if files is not None:
            report = files.make(report, writer.staging, drop_failing=drop_failing, progress=progress)
            stop_if_interrupted()
        progress.stage("write")
        manifest = builder.manifest(report, command)
        writer.commit(manifest, check=_run_once)
        if files is not None:
            files.publish()
    return report


def _check_name(out: Path) -> None:
    try:
        str(out.absolute()).encode()
    except UnicodeEncodeError as error:
        raise OutputError(
            f"Cannot write {str(out)!a}: the path is not UTF-8, and not every backend can open it.",
            hint="Choose another name or folder.",
        ) from error


def _import_libraries() -> None:
    """Load the big libraries here, where what they print on import is dropped."""
    with captured_output(), hold_interrupt():
        import optimum.exporters.tasks  # noqa: F401

        # transformers loads the module of a class when it is first asked for, and with it the quantization packages.
        from transformers import DistilBertForSequenceClassification  # noqa: F401


def _load_targets(names: Sequence[str]) -> list[Target]:
    if not names:
        raise TargetError("No target is given.", hint="Name at least one; `edgebert targets` lists them.")
    targets = [load_target(name) for name in dict.fromkeys(names)]
    for position, target in enumerate(targets):
        if target.name in {other.name for other in targets[:position]}:
            raise TargetError(f"Two targets have the name {target.name!r}.", hint="Give each a name of its own.")
    return targets


def _specs(targets: Sequence[Target]) -> list[ArtifactSpec]:
    """Every artifact that a target asks for, once; those of a backend together, since they share intermediate files."""
    specs = {spec.id: spec for target in targets for spec in target.artifacts}
    return [specs[name] for name in sorted(specs)]


def _check_space(out: Path, checkpoint: Checkpoint, specs: Sequence[ArtifactSpec]) -> None:
    """Refuse before the work starts what cannot end well."""
    weights = sum(tensor.numel() * tensor.element_size() for tensor in checkpoint.tensors.values())
    intermediate = len({"tflite" if spec.backend == "tflite" else "onnx" for spec in specs})
    intermediate += any(spec.backend == "tensorrt" for spec in specs)  # the ONNX file in float16
    needed = int(weights * (intermediate + sum(_SIZE[spec.precision] for spec in specs))) + _SPARE_BYTES
    free = shutil.disk_usage(out.absolute().parent).free
    if free < needed:
        raise OutputError(
            f"The conversion needs about {needed / 1e6:,.0f} MB beside '{out}', {free / 1e6:,.0f} MB are free.",
            hint="Free some space, or write the bundle to another disk.",
        )


def _refuse(report: Report, *, drop_failing: bool) -> None:
    bad = [outcome for outcome in report.artifacts if outcome.status != PASSED]
    if not bad or (drop_failing and len(bad) < len(report.artifacts)):
        return
    reasons = "".join(f"\n  {outcome.id} {outcome.status}: {'; '.join(outcome.reasons)}" for outcome in bad)
    kind = GateError if any(outcome.status == REFUSED for outcome in bad) else ConversionError
    count = f"{len(bad)} of {len(report.artifacts)} artifacts did not pass"
    hint = "No bundle was written."
    if len(bad) < len(report.artifacts):
        hint += " To ship the others without them, use --drop-failing."
    raise kind(f"{count}:{reasons}\n", hint=hint, report=report)


def _run_once(bundle: Path) -> None:
    """Use the new bundle as a device would, before it takes the place of an older one."""
    with load(bundle, strict=True) as model:
        item, options = model.example("A bundle that cannot answer is not written.")
        model(item, **options)
