"""One conversion under way: exports, measures and judges artifacts, and describes what has passed."""

from __future__ import annotations

import datetime
import errno
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from platform import python_version

from edgebert._version import __version__
from edgebert.bundle import (
    FORMAT,
    Artifact,
    BundleWriter,
    Golden,
    Headline,
    Manifest,
    Profile,
    Provenance,
    TensorSpec,
    Tokenizer,
    dump_golden,
)
from edgebert.bundle.output import FULL
from edgebert.bundle.schema import FREE
from edgebert.convert import gate
from edgebert.convert.checkpoint import Checkpoint
from edgebert.convert.evaluation.texts import EvalSet
from edgebert.convert.evidence import Measurement, Yardstick, make_yardstick, measure
from edgebert.convert.exporters import ExportJob, exporter_for
from edgebert.convert.exporters.base import Exported, StandIn
from edgebert.convert.graph import Graph, difference_from_transformers
from edgebert.convert.html import to_html
from edgebert.convert.machine import machine_facts
from edgebert.convert.probes import calibration_inputs, example_inputs, golden_inputs, probe_input, texts_of_length
from edgebert.convert.progress import Progress
from edgebert.convert.quiet import captured_output
from edgebert.convert.report import FAILED, PASSED, REFUSED, Evaluation, Outcome, Report
from edgebert.convert.target import ArtifactSpec, Target
from edgebert.convert.tasks import TaskEvidence
from edgebert.errors import BackendError, EdgebertError, InputError, SelfTestError
from edgebert.runtime.tokenization import TextTokenizer

_COMMON_TOOLS = ("numpy", "tokenizers", "torch", "transformers", "optimum", "safetensors")


@dataclass(frozen=True, slots=True)
class GateOverrides:
    """Gate limits given by the user, which replace those of every target; ``None`` leaves a limit as it is."""

    min_label_agreement: float | None = None
    max_metric_drop: float | None = None
    max_logit_difference: float | None = None

    def __post_init__(self) -> None:
        """Raises ``InputError`` for what no limit can be; with a NaN, everything would pass."""
        for name, value in asdict(self).items():
            most = sys.float_info.max if name == "max_logit_difference" else 1.0
            if value is not None and not 0 <= value <= most:
                allowed = "a number of at least 0" if most > 1 else "a number from 0 to 1"
                raise InputError(f"{name}={value!r} is no limit for the gate.", hint=f"Give {allowed}.")


SCRATCH = "scratch"
"""The folder of intermediate files in the staging area."""


class Builder:
    """One conversion under way: what its artifacts share, and what has been made of them."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        evidence: TaskEvidence,
        tokenizer: TextTokenizer,
        targets: Sequence[Target],
        answers: EvalSet | None,
        texts: Sequence[str],
        writer: BundleWriter,
        overrides: GateOverrides,
        progress: Progress,
    ) -> None:
        self._checkpoint = checkpoint
        self._targets = targets
        self._answers = answers
        self._writer = writer
        self._overrides = overrides
        self._progress = progress
        self._exported: dict[str, Artifact] = {}

        graph = self._graph = Graph(checkpoint)
        pad_id = checkpoint.pad_id
        middle = min(16, checkpoint.max_length)
        rows = texts_of_length(tokenizer, texts, [2, 3, middle, checkpoint.max_length])
        inputs = [probe_input(row, len(row), pad_id, graph) for row in rows]
        inputs.append(probe_input(rows[1], middle, pad_id, graph))
        with captured_output():
            self._graph_diff = difference_from_transformers(checkpoint, graph, inputs)
        buckets = _buckets(targets, checkpoint.max_length)
        self.golden: Golden = golden_inputs(graph, tokenizer, texts, buckets, pad_id)
        self._yardstick: Yardstick = make_yardstick(
            graph,
            checkpoint.task,
            evidence,
            tokenizer,
            pad_id,
            self.golden,
            inputs=answers.inputs if answers else example_inputs(checkpoint.task, texts),
            options=answers.options if answers else {},
            right=answers.labels if answers else None,
            probe_texts=texts,
            buckets=buckets,
        )
        scratch = writer.staging / SCRATCH
        scratch.mkdir()
        self._job = ExportJob(
            graph=graph,
            max_length=checkpoint.max_length,
            buckets=buckets,
            calibration=calibration_inputs(checkpoint.task, tokenizer, texts, pad_id),
            scratch=scratch,
            workspace_mb=min((t.workspace_mb for t in targets if t.workspace_mb is not None), default=None),
        )

    def make(self, spec: ArtifactSpec) -> Outcome:
        """Export one artifact, measure it and judge it. A failure is an outcome, not an exception."""
        started = time.monotonic()
        asked_by = tuple(t.name for t in self._targets if spec in t.artifacts)
        limits = gate.override(gate.strictest(self._targets, spec.precision, spec.id), **asdict(self._overrides))
        folder = f"artifacts/{spec.id}"
        captured = None
        reasons: tuple[str, ...] = ()
        measured: Measurement | None = None
        exported: Exported | None = None
        size: int | None = None
        tolerance: float | None = None
        try:
            with captured_output() as captured:
                self._progress.stage("export", spec.id)
                directory = self._writer.staging / folder
                directory.mkdir(parents=True)
                exported = exporter_for(spec.backend).export(self._job, spec.precision, directory)
                artifact = self._artifact(spec, exported, folder)
                size = sum(ref.size for ref in artifact.files)
                self._progress.stage("measure", spec.id)
                files = [self._writer.staging / ref.path for ref in artifact.files]
                measured = self._measure(artifact, exported.stand_in, files)
            reasons = tuple(gate.judge(measured, limits, spec.precision, self.golden))
            tolerance = gate.self_test_tolerance(measured, spec.precision, self.golden)
            status = REFUSED if reasons else PASSED
        except SelfTestError as error:  # it runs, and what it computes is no answer
            status, reasons = REFUSED, (str(error),)
        except BackendError as error:
            status, reasons = FAILED, (str(error),)
        except ImportError as error:
            hint = 'install the converter: pip install "edgebert[convert]"'
            status, reasons = FAILED, (f"{error} ({hint})",)
        except EdgebertError:
            raise
        except Exception as error:  # converters raise whatever they like; the other artifacts are still made
            full = self._disk_full(error)
            if full:
                raise OSError(full, os.strerror(full)) from error
            status, reasons = FAILED, (f"{type(error).__name__}: {error}".splitlines()[0][:300],)
        if status == PASSED and measured is not None and tolerance is not None:
            self._exported[spec.id] = _with_evidence(artifact, measured, tolerance)
        else:
            self._writer.remove(folder)
        return Outcome(
            id=spec.id,
            backend=spec.backend,
            precision=spec.precision,
            targets=asked_by,
            status=status,
            reasons=reasons,
            quantization=exported.quantization if exported else None,
            bytes=size,
            seconds=round(time.monotonic() - started, 2),
            limits=limits,
            tolerance=tolerance,
            measurement=measured,
            log=captured.text if captured and status == FAILED else "",
        )

    def _measure(self, artifact: Artifact, stand_in: StandIn | None, files: list[Path]) -> Measurement:
        if stand_in is None:
            return measure(artifact, files, self._yardstick)
        measured_as = replace(artifact, backend=stand_in.backend, requires=stand_in.requires)
        measured = measure(measured_as, files, self._yardstick)
        return replace(measured, details={**measured.details, **stand_in.remarks})

    def report(
        self, out: Path, evaluation: str | Path | None, calibration: str | Path | None, outcomes: Sequence[Outcome]
    ) -> Report:
        """The evidence as a whole."""
        checkpoint, yardstick = self._checkpoint, self._yardstick
        reference = yardstick.reference_scores
        return Report(
            name=out.name.removesuffix(".edgebert") or out.name,
            checkpoint=checkpoint.source,
            parameters=sum(tensor.numel() for tensor in checkpoint.tensors.values()),
            task=checkpoint.task.name,
            labels=checkpoint.task.labels,
            problem_type=checkpoint.task.problem_type,
            graph_diff=self._graph_diff,
            evaluation=Evaluation(
                path=Path(evaluation).name if evaluation else None,
                sha256=self._answers.sha256 if self._answers else None,
                texts=len(yardstick.inputs),
                scores=dict(zip(yardstick.evidence.metrics, reference, strict=True)) if reference else {},
                agreement=yardstick.evidence.meaning,
            ),
            calibration=Path(calibration).name if calibration else "built-in",
            machine=machine_facts(),
            tools=_tools({outcome.backend for outcome in outcomes}),
            created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            notes=checkpoint.notes,
            artifacts=tuple(outcomes),
        )

    def manifest(self, report: Report, command: Sequence[str]) -> Manifest:
        """Write what is not an artifact, and describe the whole."""
        checkpoint, writer = self._checkpoint, self._writer
        return Manifest(
            format=FORMAT,
            name=report.name,
            task=checkpoint.task,
            provenance=Provenance(
                checkpoint=checkpoint.source,
                files=checkpoint.files,
                tools=report.tools,
                command=tuple(word.encode("utf-8", "replace").decode() for word in command),
                created=report.created,
            ),
            tokenizer=Tokenizer(
                writer.write("tokenizer.json", checkpoint.tokenizer_json), checkpoint.max_length, checkpoint.pad_id
            ),
            inputs=tuple(TensorSpec(name, "int32", dims) for name, dims in checkpoint.task.format.inputs.items()),
            outputs=tuple(
                TensorSpec(name, "float32", self._shape(name, dims))
                for name, dims in checkpoint.task.format.outputs.items()
            ),
            golden=writer.write("golden.npz", dump_golden(self.golden)),
            evidence=writer.write("evidence.json", report.to_json()),
            report=writer.write("evidence.html", to_html(report).encode()),
            artifacts=tuple(self._exported.values()),
            profiles=tuple(profile for target in self._targets if (profile := self._profile(target)) is not None),
        )

    def _shape(self, output: str, dims: Sequence[str]) -> tuple[int | str, ...]:
        """The dimensions of an output: those that follow the input by name, the others as they are."""
        free = ("batch", *FREE)
        sizes = self.golden.outputs[output].shape
        return tuple(name if name in free else size for name, size in zip(dims, sizes, strict=True))

    def _disk_full(self, error: Exception) -> int:
        """The ``errno`` of a full disk, if that is why an exporter failed, else 0."""
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, OSError) and cause.errno in FULL:
                return cause.errno
            cause = cause.__cause__ or cause.__context__
        # Exporters in C++ raise something else, and may have removed what they had written: there was more than enough
        # space at the beginning, so that less than one artifact may need now is the reason.
        largest = sum(4 * tensor.numel() for tensor in self._checkpoint.tensors.values())
        return errno.ENOSPC if shutil.disk_usage(self._writer.staging).free < largest else 0

    def _profile(self, target: Target) -> Profile | None:
        order = tuple(spec.id for spec in target.artifacts if spec.id in self._exported)
        if not order:
            return None
        device = target.device
        return Profile(
            target=target.name,
            architectures=device.architectures,
            vendor=device.vendor,
            order=order,
            threads=target.threads,
            isa=device.isa,
            memory_mb=device.memory_mb,
            accelerator=device.accelerator,
        )

    def _artifact(self, spec: ArtifactSpec, exported: Exported, folder: str) -> Artifact:
        """The manifest entry, with evidence still to come."""
        directory = self._writer.staging / folder
        files = sorted(path.relative_to(self._writer.staging).as_posix() for path in directory.rglob("*"))
        return Artifact(
            id=spec.id,
            backend=spec.backend,
            precision=spec.precision,
            quantization=exported.quantization,
            shapes=exported.shapes,
            files=tuple(self._writer.ref(path) for path in files),
            requires=exported.requires,
            tolerance=1.0,
            evidence=Headline(0.0, 0.0),
        )


def _with_evidence(artifact: Artifact, measured: Measurement, tolerance: float) -> Artifact:
    score = measured.scores[0] if measured.scores else None
    headline = Headline(
        max_abs_diff=measured.max_abs_diff,
        label_agreement=measured.label_agreement,
        metric=score.metric if score else None,
        value=score.value if score else None,
        reference=score.reference if score else None,
    )
    return replace(artifact, tolerance=tolerance, evidence=headline)


def _buckets(targets: Sequence[Target], max_length: int) -> tuple[int, ...]:
    """The buckets that any target asks for, as far as the model reaches."""
    asked = {min(bucket, max_length) for target in targets for bucket in target.buckets}
    return tuple(sorted(asked)) or (max_length,)


def _tools(backends: set[str]) -> dict[str, str]:
    names = set(_COMMON_TOOLS)
    for backend in backends:
        try:
            names |= set(exporter_for(backend).TOOLS)
        except ImportError:  # its artifacts have failed for this reason
            continue
    versions = {"edgebert": __version__, "python": python_version()}
    for name in sorted(names):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions
