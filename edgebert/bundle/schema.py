"""The manifest of a bundle, as frozen dataclasses: format ``edgebert/1``.

These classes only hold values. ``edgebert.bundle.manifest`` reads and writes them and checks every field;
``docs/bundle-format.md`` is the normative text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

FORMAT = "edgebert/1"
MANIFEST_NAME = "manifest.json"

PROBLEM_TYPES = ("single_label_classification", "multi_label_classification", "regression")
CASCADED = "single_label_classification"
"""The problem type of which a bundle may be a cascade: an answer has one confidence."""
POOLINGS = ("mean", "cls")
Setting = str | int | bool
"""A value that a task needs beside the labels."""


@dataclass(frozen=True, slots=True)
class TaskFormat:
    """What the manifest must hold for a task.

    Attributes:
        outputs: the graph's outputs, name -> dimensions. ``length`` counts tokens, ``labels`` the task's labels,
            ``positions`` the places in the input that the head reads; any other name is a number that the graph fixes.
        labels: whether the task has labels.
        problem_types: what ``problem_type`` may be; it is ``None`` for a task without.
        settings: the settings that the task has, name -> type, or the texts to choose from.
        positions: whether the head reads some places of the input alone: the graph then has the input ``positions``.
    """

    outputs: Mapping[str, tuple[str, ...]]
    labels: bool = False
    problem_types: tuple[str, ...] = ()
    settings: Mapping[str, type | tuple[str, ...]] = field(default_factory=dict)
    positions: bool = False

    @property
    def inputs(self) -> Mapping[str, tuple[str, ...]]:
        """The graph's inputs, integers: name -> dimensions."""
        inputs = {"input_ids": ("batch", "length"), "attention_mask": ("batch", "length")}
        return {**inputs, "positions": ("batch", "positions")} if self.positions else inputs


FREE = ("length", "positions")
"""Dimensions that follow the input."""

TASKS: Mapping[str, TaskFormat] = {
    "text-classification": TaskFormat({"logits": ("batch", "labels")}, labels=True, problem_types=PROBLEM_TYPES),
    "token-classification": TaskFormat({"logits": ("batch", "length", "labels")}, labels=True),
    "question-answering": TaskFormat({"start_logits": ("batch", "length"), "end_logits": ("batch", "length")}),
    "fill-mask": TaskFormat(
        {"logits": ("batch", "positions", "vocabulary")},
        settings={"mask_token": str, "clean_up_tokenization_spaces": bool},
        positions=True,
    ),
    "feature-extraction": TaskFormat({"last_hidden_state": ("batch", "length", "dim")}),
    "sentence-similarity": TaskFormat(
        {"sentence_embedding": ("batch", "dim")}, settings={"pooling": POOLINGS, "normalize": bool}
    ),
    "zero-shot-classification": TaskFormat({"logits": ("batch", "labels")}, labels=True, settings={"entailment": int}),
    "multiple-choice": TaskFormat({"logits": ("batch", "choice")}),
}
"""The tasks, by the names of ``transformers.pipeline`` and of the Hugging Face hub."""
BACKENDS = ("onnx", "openvino", "tflite", "tensorrt")
PRECISIONS = ("fp32", "fp16", "int8")
DTYPES = ("int32", "int64", "float32")
ARCHITECTURES = ("x86_64", "aarch64", "armv7l")


@dataclass(frozen=True, slots=True)
class FileRef:
    """One file of the bundle: POSIX path relative to the bundle, size in bytes, lower-case hex SHA-256."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Name, dtype and shape of a graph input or output; a string in ``shape`` is a free dimension."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Task:
    """What the model answers: the pipeline name, how scores are made, and its labels by class index.

    ``problem_type`` is one of :data:`PROBLEM_TYPES` for text classification, ``None`` for every other task. ``labels``
    is empty and ``settings`` holds nothing unless the task's :class:`TaskFormat` says so.
    """

    name: str
    problem_type: str | None
    labels: tuple[str, ...]
    settings: Mapping[str, Setting] = field(default_factory=dict)

    @property
    def format(self) -> TaskFormat:
        """What the manifest must hold for it."""
        return TASKS[self.name]


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """The tokenizer file, the longest input in tokens (special tokens included), and the padding id."""

    file: FileRef
    max_length: int
    pad_id: int


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the bundle comes from.

    ``checkpoint`` is the directory or hub name, ``files`` maps each file read from it to its SHA-256, ``tools`` maps
    each tool that made the bundle to its version, ``command`` is the command line, ``created`` an RFC 3339 UTC time.
    """

    checkpoint: str
    files: Mapping[str, str]
    tools: Mapping[str, str]
    command: tuple[str, ...]
    created: str


@dataclass(frozen=True, slots=True)
class Shapes:
    """Input shapes an artifact takes.

    ``policy`` is ``"dynamic"`` (any batch, any length up to ``max_length``; ``buckets`` is empty) or ``"buckets"``
    (batch 1, exactly the lengths in ``buckets``, ascending, the last one being ``max_length``).
    """

    policy: str
    max_length: int
    buckets: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Requires:
    """What a device must have to run an artifact.

    Empty ``architectures`` means any. Every ISA feature in ``isa`` must be present (Linux ``/proc/cpuinfo`` names).
    ``runtimes`` maps distribution names to minimum versions; **any one** of them suffices.
    """

    architectures: tuple[str, ...]
    isa: tuple[str, ...]
    runtimes: Mapping[str, str]
    accelerator: str | None = None


@dataclass(frozen=True, slots=True)
class Headline:
    """The evidence in short, measured on the build host against the float32 checkpoint.

    ``max_abs_diff`` is in logits, ``label_agreement`` a share in [0, 1]. ``metric``, ``value`` and ``reference`` (the
    float32 checkpoint's value) are ``None`` when no evaluation set was given.
    """

    max_abs_diff: float
    label_agreement: float
    metric: str | None = None
    value: float | None = None
    reference: float | None = None


@dataclass(frozen=True, slots=True)
class Artifact:
    """One model file set for one backend at one precision.

    ``quantization`` says in words how weights and activations are stored and computed. ``tolerance`` is the largest
    |logit difference| from the golden outputs that the device self-test accepts.
    """

    id: str
    backend: str
    precision: str
    quantization: str
    shapes: Shapes
    files: tuple[FileRef, ...]
    requires: Requires
    tolerance: float
    evidence: Headline


@dataclass(frozen=True, slots=True)
class Profile:
    """A target the bundle was built for: which devices it means, and its artifacts, best first.

    A device is meant when it has one of the ``architectures`` (empty for any), the ``/proc/cpuinfo`` ``vendor`` id
    (``None`` for any), every ISA feature in ``isa``, and at least ``memory_mb`` of memory (in 10^6 bytes, ``None`` for
    any). With an ``accelerator``, devices that have it follow this profile before any other, and those that lack it
    after all others. ``threads`` is the number of threads to use, ``None`` for one per physical core.
    """

    target: str
    architectures: tuple[str, ...]
    vendor: str | None
    order: tuple[str, ...]
    threads: int | None = None
    isa: tuple[str, ...] = ()
    memory_mb: int | None = None
    accelerator: str | None = None


@dataclass(frozen=True, slots=True)
class CascadeHeadline:
    """The evidence of a cascade in short: its worst pair of artifacts, on texts that its rule was not fitted on.

    ``value`` is the cascade's metric, ``reference`` that of the bigger bundle alone, ``escalated`` the share of the
    ``texts`` that went there, in [0, 1].
    """

    texts: int
    metric: str
    value: float
    reference: float
    escalated: float


@dataclass(frozen=True, slots=True)
class Cascade:
    """A bigger bundle inside this one, and which answers come from it.

    An answer whose confidence is below ``threshold`` comes from the bigger bundle, which may be a cascade as well. The
    confidence is the largest probability of ``softmax(logits / temperature)``.

    Attributes:
        bundle: folder of the bigger bundle, POSIX, relative to this one.
        files: every file of it, its ``manifest.json`` too.
        temperature: above 0.
        threshold: from 0 (it is never asked) to 1 (it is asked unless the confidence rounds to 1).
        headline: what it was measured to do, in short.
        evidence: the same in full, JSON.
        report: the same for people, HTML.
    """

    bundle: str
    files: tuple[FileRef, ...]
    temperature: float
    threshold: float
    headline: CascadeHeadline
    evidence: FileRef
    report: FileRef


@dataclass(frozen=True, slots=True)
class Manifest:
    """The whole of ``manifest.json``."""

    format: str
    name: str
    task: Task
    provenance: Provenance
    tokenizer: Tokenizer
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    golden: FileRef
    evidence: FileRef
    report: FileRef
    artifacts: tuple[Artifact, ...]
    profiles: tuple[Profile, ...]
    cascade: Cascade | None = None

    @property
    def files(self) -> tuple[FileRef, ...]:
        """Every file of the bundle but ``manifest.json`` itself, in manifest order."""
        shared = (self.tokenizer.file, self.golden, self.evidence, self.report)
        own = (*shared, *(file for artifact in self.artifacts for file in artifact.files))
        cascade = self.cascade
        return own if cascade is None else (*own, cascade.evidence, cascade.report, *cascade.files)

    def artifact(self, artifact_id: str) -> Artifact:
        """The artifact with this id. Raises ``KeyError`` when there is none."""
        for artifact in self.artifacts:
            if artifact.id == artifact_id:
                return artifact
        raise KeyError(artifact_id)
