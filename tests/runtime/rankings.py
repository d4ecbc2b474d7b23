"""Rankings for tests: of the tiny bundle of ``tests.bundle.samples``, and any that hypothesis can think of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from edgebert.bundle import Bundle
from edgebert.devices import Machine, Runtime
from edgebert.runtime.ranking import OBJECTIVES, Entry, Ranking, Refused
from edgebert.runtime.ranking_key import RankingKey, key_of
from edgebert.runtime.selection import Configuration
from tests.bundle import samples

MACHINE = Machine("Linux", "x86_64", "AuthenticAMD", "a CPU", frozenset(("avx2", "fma")), 4, 2, 2, 2**33, 2**32)
RUNTIMES = [
    Runtime("onnx", "onnxruntime", "onnxruntime", "1.30", None, ""),
    Runtime("openvino", "openvino", "openvino", "2026.4", None, ""),
    Runtime("tflite", "ai-edge-litert", "ai_edge_litert.interpreter", "2.3", None, ""),
    Runtime("tflite", "tflite-runtime", "tflite_runtime.interpreter", None, "it is not installed", ""),
    Runtime("tensorrt", "tensorrt", "tensorrt", "10.3", None, ""),
]


def bundle(path: Path, **changes: Any) -> Bundle:
    """A bundle with onnx-fp32, openvino-int8 and tflite-int8 (buckets 8, 32), without its files."""
    return replace(Bundle(path, samples.manifest(), "b" * 64), **changes)


def entry(configuration: Configuration, value: float = 2.5, **changes: Any) -> Entry:
    return replace(Entry(configuration, value, value * 0.9, value * 1.1, 3, 64, 60), **changes)


def ranking(key: RankingKey | None = None, **changes: Any) -> Ranking:
    """tflite-int8 with 1 thread before onnx-fp32 with 2; openvino-int8 is refused."""
    whole = Ranking(
        key=key or key_of(bundle(Path()), MACHINE, RUNTIMES),
        created="2026-01-31T12:00:00Z",
        objective="latency",
        texts="built-in",
        reference=Configuration("onnx-fp32", 2),
        entries=(entry(Configuration("tflite-int8", 1, (32,))), entry(Configuration("onnx-fp32", 2), 4.75)),
        refused=(Refused(Configuration("openvino-int8", 2), "it failed"),),
    )
    return replace(whole, **changes)


_NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=0x2000), min_size=1, max_size=9).filter(str.isprintable)
_COUNTS = st.integers(1, 1 << 20)
_VALUES = st.floats(1e-9, 1e12)
_KEYS = st.builds(
    RankingKey,
    bundle=st.text("0123456789abcdef", min_size=64, max_size=64),
    system=_NAMES,
    architecture=_NAMES,
    vendor=st.just("") | _NAMES,
    model=st.just("") | _NAMES,
    isa=st.lists(_NAMES, max_size=4).map(tuple),
    logical_cores=st.integers(1, 999),
    physical_cores=st.integers(1, 999),
    performance_cores=st.integers(1, 999),
    memory_gib=st.integers(0, 4096),
    edgebert=_NAMES,
    runtimes=st.dictionaries(_NAMES, _NAMES, max_size=3),
)
_CONFIGURATIONS = st.builds(
    Configuration,
    artifact=_NAMES,
    threads=st.integers(1, 1024),
    buckets=st.sets(st.integers(1, 512), max_size=4).map(lambda found: tuple(sorted(found))),
)
_ENTRIES = st.builds(Entry, _CONFIGURATIONS, _VALUES, _VALUES, _VALUES, _COUNTS, _COUNTS, st.integers(0, 99))
RANKINGS = st.builds(
    Ranking,
    key=_KEYS,
    created=st.datetimes().map(lambda time: f"{time.year:04}" + time.strftime("-%m-%dT%H:%M:%SZ")),
    objective=st.sampled_from(sorted(OBJECTIVES)),
    texts=st.sampled_from(["built-in", "given"]),
    reference=_CONFIGURATIONS,
    entries=st.lists(_ENTRIES, min_size=1, max_size=4).map(tuple),
    refused=st.lists(st.builds(Refused, _CONFIGURATIONS, _NAMES), max_size=3).map(tuple),
)
