"""Hypothesis strategies for manifests and golden data."""

from __future__ import annotations

import string
from datetime import datetime
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgebert.bundle import (
    FORMAT,
    Artifact,
    Cascade,
    CascadeHeadline,
    FileRef,
    Golden,
    Headline,
    Manifest,
    Profile,
    Provenance,
    Requires,
    Shapes,
    Task,
    TensorSpec,
    Tokenizer,
)
from edgebert.bundle.schema import ARCHITECTURES, BACKENDS, CASCADED, DTYPES, PRECISIONS, TASKS

_HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
_TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=20)
_ID = st.from_regex(r"[a-z0-9][a-z0-9._-]{0,10}[a-z0-9]", fullmatch=True)
_IDENTIFIER = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True)
_VERSION = st.lists(st.integers(0, 999), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))
_FINITE = st.floats(allow_nan=False, allow_infinity=False)
_TIMES = st.datetimes(min_value=datetime(1, 1, 1)).map(lambda time: time.isoformat() + "Z")
_ARCHITECTURES = st.lists(st.sampled_from(ARCHITECTURES), unique=True).map(tuple)
_SIZES = st.integers(0, 16 << 30)


def _ref(path: str, sizes: st.SearchStrategy[int] = _SIZES) -> st.SearchStrategy[FileRef]:
    return st.builds(FileRef, st.just(path), sizes, _HEX)


@st.composite
def _shapes(draw: st.DrawFn) -> Shapes:
    if draw(st.booleans()):
        return Shapes("dynamic", draw(st.integers(1, 65536)))
    buckets = tuple(sorted(draw(st.sets(st.integers(1, 65536), min_size=1, max_size=6))))
    return Shapes("buckets", buckets[-1], buckets)


@st.composite
def _headlines(draw: st.DrawFn) -> Headline:
    metric = draw(st.none() | _TEXT)
    measured = (None, None) if metric is None else (draw(_FINITE), draw(_FINITE))
    return Headline(draw(st.floats(0, 1e300)), draw(st.floats(0, 1)), metric, *measured)


@st.composite
def _artifacts(draw: st.DrawFn, artifact_id: str) -> Artifact:
    names = draw(st.sets(st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=8), min_size=1))
    return Artifact(
        id=artifact_id,
        backend=draw(st.sampled_from(BACKENDS)),
        precision=draw(st.sampled_from(PRECISIONS)),
        quantization=draw(_TEXT),
        shapes=draw(_shapes()),
        files=tuple(draw(_ref(f"artifacts/{artifact_id}/{name}")) for name in sorted(names)),
        requires=Requires(
            draw(_ARCHITECTURES),
            tuple(draw(st.lists(st.sampled_from(["avx2", "avx512_vnni", "asimddp", "sse4_1"]), unique=True))),
            draw(st.dictionaries(st.sampled_from(["onnxruntime", "openvino", "tflite-runtime"]), _VERSION, min_size=1)),
            draw(st.none() | _ID),
        ),
        tolerance=draw(st.floats(0, 1e300, exclude_min=True)),
        evidence=draw(_headlines()),
    )


@st.composite
def tasks(draw: st.DrawFn, name: str | None = None) -> Task:
    """Any valid task, or any of this name."""
    name = name or draw(st.sampled_from(tuple(TASKS)))
    wanted = TASKS[name]
    labels = tuple(draw(st.lists(_TEXT, min_size=1, max_size=5, unique=True))) if wanted.labels else ()
    kinds: dict[type, st.SearchStrategy[Any]] = {str: _TEXT, bool: st.booleans(), int: st.integers(0, len(labels) - 1)}
    settings = {
        key: draw(st.sampled_from(kind) if isinstance(kind, tuple) else kinds[kind])
        for key, kind in wanted.settings.items()
    }
    return Task(name, draw(st.sampled_from(wanted.problem_types)) if wanted.problem_types else None, labels, settings)


@st.composite
def _tensors(draw: st.DrawFn, task: Task) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Inputs and outputs of a task, in any order, with other outputs beside them."""
    number = st.integers(1, 512)
    sizes = {
        "batch": number | _IDENTIFIER,
        "length": st.just("length"),
        "positions": st.just("positions"),
        "labels": st.just(len(task.labels)) | _IDENTIFIER,
        "choice": st.just(1),
        "vocabulary": number,
        "dim": number,
    }
    integers = st.sampled_from([dtype for dtype in DTYPES if dtype.startswith("int")])
    inputs = [
        TensorSpec(name, draw(integers), tuple(draw(sizes[dimension]) for dimension in dimensions))
        for name, dimensions in task.format.inputs.items()
    ]
    outputs = [
        TensorSpec(name, "float32", tuple(draw(sizes[dimension]) for dimension in dimensions))
        for name, dimensions in task.format.outputs.items()
    ]
    taken = {tensor.name for tensor in (*inputs, *outputs)}
    outputs += [
        TensorSpec(name, draw(st.sampled_from(DTYPES)), tuple(draw(st.lists(number | _IDENTIFIER, max_size=8))))
        for name in draw(st.lists(_IDENTIFIER, max_size=2, unique=True))
        if name not in taken
    ]
    return tuple(draw(st.permutations(inputs))), tuple(draw(st.permutations(outputs)))


@st.composite
def _cascades(draw: st.DrawFn) -> Cascade:
    folder = draw(st.sampled_from(["bigger", "big.edgebert", "0"]))
    names = ["manifest.json", *sorted(draw(st.sets(st.text(string.ascii_lowercase, min_size=1, max_size=8))))]
    share = st.floats(0, 1)
    headline = CascadeHeadline(draw(st.integers(1, 10**6)), draw(_TEXT), draw(_FINITE), draw(_FINITE), draw(share))
    return Cascade(
        bundle=folder,
        files=tuple(draw(_ref(f"{folder}/{name}")) for name in names),
        temperature=draw(st.floats(0, 1e300, exclude_min=True)),
        threshold=draw(share),
        headline=headline,
        evidence=draw(_ref("cascade.json")),
        report=draw(_ref("cascade.html")),
    )


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    """Any valid manifest."""
    ids = draw(st.lists(_ID, min_size=1, max_size=3, unique=True))
    profiles = [
        Profile(
            target,
            draw(_ARCHITECTURES),
            draw(st.none() | _TEXT),
            tuple(draw(st.lists(st.sampled_from(ids), unique=True))),
            draw(st.none() | st.integers(1, 1024)),
            tuple(draw(st.lists(st.sampled_from(["avx2", "asimddp"]), unique=True))),
            draw(st.none() | st.integers(1, 10**8)),
            draw(st.none() | _ID),
        )
        for target in draw(st.lists(_TEXT, max_size=2, unique=True))
    ]
    task = draw(tasks())
    inputs, outputs = draw(_tensors(task))
    return Manifest(
        format=FORMAT,
        name=draw(_TEXT),
        task=task,
        provenance=Provenance(
            draw(_TEXT),
            draw(st.dictionaries(_TEXT, _HEX, min_size=1, max_size=3)),
            draw(st.dictionaries(_TEXT, _TEXT, max_size=3)),
            tuple(draw(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))))),
            draw(_TIMES),
        ),
        tokenizer=Tokenizer(draw(_ref("tokenizer.json")), draw(st.integers(1, 65536)), draw(st.integers(0, 99999))),
        inputs=inputs,
        outputs=outputs,
        golden=draw(_ref("golden.npz", st.integers(0, 64 << 20))),
        evidence=draw(_ref("evidence.json")),
        report=draw(_ref("evidence.html")),
        artifacts=tuple(draw(_artifacts(artifact_id)) for artifact_id in ids),
        profiles=tuple(profiles),
        cascade=draw(st.none() | _cascades()) if task.problem_type == CASCADED else None,
    )


@st.composite
def goldens(draw: st.DrawFn) -> Golden:
    """Any valid golden data."""
    rows, length = draw(st.integers(1, 5)), draw(st.integers(1, 9))
    tokens = np.array(draw(st.lists(st.integers(1, length), min_size=rows, max_size=rows)))
    finite = st.floats(allow_nan=False, allow_infinity=False, width=32)
    places = draw(st.none() | st.integers(1, length))
    tails = st.lists(st.integers(1, 3), max_size=3).map(tuple)
    return Golden(
        input_ids=draw(hnp.arrays(np.int32, (rows, length), elements=st.integers(0, 30000))),
        attention_mask=(np.arange(length) < tokens[:, None]).astype(np.int32),
        outputs={
            name: draw(hnp.arrays(np.float32, (rows, *draw(tails)), elements=finite))
            for name in draw(st.lists(_IDENTIFIER, min_size=1, max_size=2, unique=True))
        },
        positions=None
        if places is None
        else (draw(hnp.arrays(np.int32, (rows, places))) % tokens[:, None]).astype("i4"),
    )
