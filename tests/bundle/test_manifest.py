"""The strict manifest: everything the format allows comes back, everything else is refused by name."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebert.bundle import FORMAT, Manifest, dump_manifest, parse_manifest
from edgebert.errors import ManifestError
from tests.bundle import samples
from tests.bundle.strategies import manifests

# Their keys are data, so that one more or one less is no fault.
FREE_KEYS = (("provenance", "files"), ("provenance", "tools"), ("artifacts", 0, "requires", "runtimes"))

Place = tuple[Any, ...]


def places(value: Any, place: Place = ()) -> Iterator[Place]:
    """Every place in a JSON value."""
    yield place
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*place, key))
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*place, index))


def at(value: Any, place: Place) -> Any:
    for key in place:
        value = value[key]
    return value


def changed(place: Place, new: Any) -> bytes:
    """The tiny manifest with the value at ``place`` replaced."""
    return encode(put(samples.manifest_json(), place, new))


def put(document: Any, place: Place, new: Any) -> Any:
    at(document, place[:-1])[place[-1]] = new
    return document


def encode(document: Any) -> bytes:
    return json.dumps(document).encode()


TINY = samples.manifest_json(artifacts=(samples.artifact("tflite-int8"),), profiles=samples.manifest().profiles[:0])
OBJECTS = [place for place in places(TINY) if isinstance(at(TINY, place), dict) and place not in FREE_KEYS]
KEYS = [place for place in places(TINY) if place and isinstance(place[-1], str) and place[:-1] not in FREE_KEYS]


@given(manifests())
def test_round_trip(manifest: Manifest) -> None:
    data = dump_manifest(manifest)
    assert parse_manifest(data) == manifest
    assert dump_manifest(parse_manifest(data)) == data


def test_canonical_form() -> None:
    data = dump_manifest(samples.manifest())
    assert data.endswith(b"\n}\n")
    assert data.startswith(b'{\n "format": "edgebert/1",\n "name": "tiny",\n')
    provenance = samples.manifest().provenance
    other = replace(provenance, tools=dict(reversed(list(provenance.tools.items()))))
    assert dump_manifest(samples.manifest(provenance=other)) == data


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_else(data: bytes) -> None:
    with pytest.raises(ManifestError):
        parse_manifest(data)


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda v: st.lists(v) | st.dictionaries(
    st.sampled_from(["format", "name", "task", "artifacts"]), v)))  # fmt: skip
def test_random_json_raises_nothing_else(value: Any) -> None:
    with pytest.raises(ManifestError):
        parse_manifest(encode(value))


@given(st.data())
def test_spoilt_bytes_raise_nothing_else(data: st.DataObject) -> None:
    good = dump_manifest(samples.manifest())
    start = data.draw(st.integers(0, len(good)))
    end = data.draw(st.integers(start, min(len(good), start + 8)))
    spoilt = good[:start] + data.draw(st.binary(max_size=8)) + good[end:]
    try:
        parsed = parse_manifest(spoilt)
    except ManifestError:
        return
    assert parse_manifest(dump_manifest(parsed)) == parsed


@pytest.mark.parametrize("place", OBJECTS, ids=str)
def test_unknown_key_is_refused(place: Place) -> None:
    document = copy.deepcopy(TINY)
    at(document, place)["comment"] = "hello"
    with pytest.raises(ManifestError, match=r"comment: unknown key; allowed: .+"):
        parse_manifest(encode(document))


@pytest.mark.parametrize("place", KEYS, ids=str)
def test_missing_key_is_refused(place: Place) -> None:
    document = copy.deepcopy(TINY)
    del at(document, place[:-1])[place[-1]]
    with pytest.raises(ManifestError, match=rf"{place[-1]}: missing key; allowed: "):
        parse_manifest(encode(document))


@pytest.mark.parametrize("place", [place for place in places(TINY) if place], ids=str)
def test_wrong_type_is_refused(place: Place) -> None:
    value = at(TINY, place)
    wrong: list[Any] = [True, False, math.nan, math.inf]
    wrong += [] if isinstance(value, dict) else [{}]
    wrong += [] if isinstance(value, list) else [[]]
    wrong += [] if isinstance(value, str) else [""]
    wrong += [] if isinstance(value, float) else [1.5]
    # An integer may stand for a number, a free dimension or a fixed one; only at those places is it right.
    wrong += [] if isinstance(value, (int, float)) or "shape" in place else [1]
    wrong += [] if place[-1] in ("metric", "accelerator") or value is None else [None]
    for other in wrong:
        with pytest.raises(ManifestError):
            parse_manifest(encode(put(copy.deepcopy(TINY), place, other)))


ARTIFACT = ("artifacts", 2)
BUCKETS = (*ARTIFACT, "shapes", "buckets")

REFUSED: list[tuple[Place, Any, str]] = [
    (("name",), "", r"name: has 0 characters"),
    (("name",), "x" * 129, r"name: has 129 characters"),
    (("name",), "a\x1b[31m", r"name: 'a\\x1b\[31m' has a control character"),
    (("name",), "a\ud800", r"name: .* lone surrogate"),
    (("task", "name"), "summarization", r"task\.name: is 'summarization'; allowed: 'text-classification'"),
    (("task", "labels"), [], r"task\.labels: has 0 items"),
    (("task", "labels"), ["x"] * 100_001, r"task\.labels: has 100001 items; allowed: an array of 1 to 100000"),
    (("task", "labels", 1), "NEGATIVE", r"task\.labels\[1\]: 'NEGATIVE' stands there twice"),
    (("task", "labels"), ["a", "b", "c"], r"outputs\[0\]\.shape: gives 2 values; allowed: 3"),
    (("outputs", 0, "shape"), ["batch"], r"outputs\[0\]\.shape: has 1 dimensions"),
    (("outputs", 0, "shape", 1), 0, r"outputs\[0\]\.shape\[1\]: is 0"),
    (("outputs", 0, "shape", 1), "number of labels", r"outputs\[0\]\.shape\[1\]: is 'number of labels'"),
    (("outputs", 0, "name"), "input_ids", r"outputs\[0\]\.name: 'input_ids' stands there twice"),
    (("inputs", 0, "dtype"), "float16", r"inputs\[0\]\.dtype: is 'float16'; allowed: 'int32' or 'int64' or 'float32'"),
    (("tokenizer", "max_length"), 512.0, r"tokenizer\.max_length: is the number 512\.0; allowed: an integer"),
    (("tokenizer", "max_length"), 0, r"tokenizer\.max_length: is 0"),
    (("tokenizer", "max_length"), 10**30, r"tokenizer\.max_length: is an integer of 100 bits"),
    (("tokenizer", "file", "size"), -1, r"tokenizer\.file\.size: is -1"),
    (("tokenizer", "file", "size"), (16 << 30) + 1, r"size: is 17179869185; allowed: an integer from 0 to 17179869184"),
    (("golden", "size"), (64 << 20) + 1, r"golden\.size: is 67108865"),
    (("tokenizer", "file", "sha256"), "0" * 63, r"sha256: is '0+\.*'?.*64 lower-case hexadecimal digits"),
    (("tokenizer", "file", "sha256"), "A" * 64, r"64 lower-case hexadecimal digits"),
    (("tokenizer", "file", "sha256"), "0" * 64 + "\n", r"64 lower-case hexadecimal digits"),
    (("provenance", "files"), {"config.json": "abc"}, r"provenance\.files\['config\.json'\]: is 'abc'"),
    (("provenance", "files"), {}, r"provenance\.files: has 0 keys"),
    (("provenance", "tools"), {"a\nb": "1"}, r"provenance\.tools\['a\\nb'\]: .* control character"),
    (("provenance", "command", 0), "a\0b", r"provenance\.command\[0\]: 'a\\x00b' is no command-line argument"),
    (("provenance", "created"), "2026-01-31", r"provenance\.created: is '2026-01-31'; allowed: an RFC 3339 time"),
    (("provenance", "created"), "2026-01-31T12:00:00", r"RFC 3339"),
    (("provenance", "created"), "2026-01-31T12:00:00+02:00", r"RFC 3339"),
    (("provenance", "created"), "2026-02-30T12:00:00Z", r"day is out of range|day 30 must be"),
    (("provenance", "created"), "2026-01-31T24:30:00Z", r"RFC 3339"),
    (("provenance", "created"), "２０２６-01-31T12:00:00Z", r"RFC 3339"),
    (("artifacts",), [], r"artifacts: has 0 items"),
    ((*ARTIFACT, "id"), "onnx-fp32", r"artifacts\[2\]\.files\[0\]\.path: is .* under 'artifacts/onnx-fp32/'"),
    ((*ARTIFACT, "id"), "Tflite", r"artifacts\[2\]\.id: is 'Tflite'"),
    ((*ARTIFACT, "id"), "../x", r"artifacts\[2\]\.id"),
    ((*ARTIFACT, "id"), "x" * 65, r"artifacts\[2\]\.id"),
    ((*ARTIFACT, "backend"), "coreml", r"backend: is 'coreml'; allowed: 'onnx' or 'openvino' or 'tflite'"),
    ((*ARTIFACT, "precision"), "int4", r"precision: is 'int4'"),
    ((*ARTIFACT, "files"), [], r"artifacts\[2\]\.files: has 0 items"),
    ((*ARTIFACT, "tolerance"), 0, r"artifacts\[2\]\.tolerance: is 0; allowed: a finite number > 0"),
    ((*ARTIFACT, "tolerance"), -0.5, r"tolerance: is -0\.5"),
    ((*ARTIFACT, "tolerance"), 10**400, r"tolerance: is inf"),
    ((*ARTIFACT, "tolerance"), math.nan, r"tolerance: is nan"),
    ((*ARTIFACT, "shapes", "policy"), "static", r"policy: is 'static'; allowed: 'dynamic' or 'buckets'"),
    ((*ARTIFACT, "shapes", "policy"), "dynamic", r"buckets: is given although the policy is 'dynamic'"),
    (BUCKETS, [32, 8, 32], r"artifacts\[2\]\.shapes\.buckets: is \[32, 8, 32\]; allowed: lengths in ascending order"),
    (BUCKETS, [8, 8, 32], r"ascending order"),
    (BUCKETS, [8, 16], r"the last is max_length \(32\)"),
    (BUCKETS, [], r"the last is max_length \(32\)"),
    (BUCKETS, [0, 32], r"artifacts\[2\]\.shapes\.buckets\[0\]: is 0"),
    ((*ARTIFACT, "requires", "architectures"), ["x86"], r"architectures\[0\]: is 'x86'"),
    ((*ARTIFACT, "requires", "isa"), ["avx2", "avx2"], r"isa\[1\]: 'avx2' stands there twice"),
    ((*ARTIFACT, "requires", "isa"), ["AVX2"], r"isa\[0\]: is 'AVX2'"),
    ((*ARTIFACT, "requires", "runtimes"), {}, r"runtimes: has 0 keys"),
    ((*ARTIFACT, "requires", "runtimes"), {"a b": "1"}, r"runtimes: is 'a b'"),
    ((*ARTIFACT, "requires", "runtimes"), {"openvino": ">=1"}, r"runtimes\.openvino: is '>=1'"),
    ((*ARTIFACT, "evidence", "label_agreement"), 1.01, r"label_agreement: is 1\.01; allowed: a number from 0 to 1"),
    ((*ARTIFACT, "evidence", "label_agreement"), -0.01, r"label_agreement: is -0\.01"),
    ((*ARTIFACT, "evidence", "max_abs_diff"), -1, r"max_abs_diff: is -1"),
    ((*ARTIFACT, "evidence", "metric"), None, r"only some of metric, value and reference"),
    (("profiles", 0, "order"), ["onnx-int4"], r"profiles\[0\]\.order\[0\]: names the unknown artifact 'onnx-int4'"),
    (("profiles", 0, "order"), ["onnx-fp32", "onnx-fp32"], r"order\[1\]: 'onnx-fp32' stands there twice"),
    (("profiles", 0, "accelerator"), "CUDA 12", r"profiles\[0\]\.accelerator: is 'CUDA 12'; allowed: null, or"),
    (("profiles", 0, "threads"), 0, r"profiles\[0\]\.threads: is 0"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("place", "value", "message"), REFUSED, ids=[f"{p[-1]}-{i}" for i, (p, _, _) in enumerate(REFUSED)]
)
def test_wrong_value_is_refused(place: Place, value: Any, message: str) -> None:
    with pytest.raises(ManifestError, match=message) as caught:
        parse_manifest(changed(place, value))
    assert caught.value.message.startswith("manifest.json: ")
    assert caught.value.hint
    assert caught.value.message.isprintable()


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "empty"),
        ("/etc/passwd", "absolute"),
        ("../secret", "leads out"),
        ("a/../../secret", "leads out"),
        ("a/..", "leads out"),
        ("a//b", "not normalised"),
        ("./a", "not normalised"),
        ("a/.", "not normalised"),
        ("a/", "not normalised"),
        ("a\\b", "backslash"),
        ("..\\a", "backslash"),
        ("C:/a", "Windows drive"),
        ("c:a", "Windows drive"),
        ("a\0b", "contains NUL"),
        ("a b", "characters outside"),
        ("modèle", "characters outside"),
        ("ab:c", "characters outside"),
        ("a./b", "ends in a dot"),
        ("x" * 513, "513 characters"),
        ("manifest.json", "is the manifest itself"),
        ("Manifest.JSON", "is the manifest itself"),
        ("manifest.json/x", "collides with 'manifest.json'"),
        ("golden.npz", "'golden.npz' collides with 'golden.npz'"),
        ("Evidence.JSON", "collides"),
        ("evidence.json/part", "collides"),
        ("artifacts", "collides"),
        ("artifacts/onnx-fp32/model.onnx", "collides"),
    ],
)
def test_bad_path_is_refused(path: str, reason: str) -> None:
    with pytest.raises(ManifestError, match=reason) as caught:
        parse_manifest(changed(("tokenizer", "file", "path"), path))
    assert ".path: " in caught.value.message


def test_artifact_file_outside_its_folder_is_refused() -> None:
    for path in ("artifacts/onnx-fp32/other.bin", "artifacts/tflite-int8", "model.tflite", "artifacts/tflite-int8x/m"):
        with pytest.raises(ManifestError, match=r"artifacts\[2\]\.files\[0\]\.path: .*'artifacts/tflite-int8/'"):
            parse_manifest(changed((*ARTIFACT, "files", 0, "path"), path))


def test_repeated_artifact_id_is_refused() -> None:
    document = samples.manifest_json()
    document["artifacts"].append(copy.deepcopy(document["artifacts"][0]))
    with pytest.raises(ManifestError, match=r"artifacts\[3\]\.id: 'onnx-fp32' stands there twice"):
        parse_manifest(encode(document))


def test_too_many_artifacts_are_refused() -> None:
    document = samples.manifest_json()
    document["artifacts"] = document["artifacts"][:1] * 1001
    with pytest.raises(ManifestError, match=r"artifacts: has 1001 items"):
        parse_manifest(encode(document))


def test_repeated_key_is_refused() -> None:
    text = dump_manifest(samples.manifest()).decode()
    for key, place in (("name", "name"), ("policy", r"artifacts\[0\]\.shapes\.policy")):
        line = next(line for line in text.splitlines() if f'"{key}": ' in line and "classification" not in line)
        spoilt = text.replace(line, f"{line}\n{line}", 1).encode()
        with pytest.raises(ManifestError, match=rf"{place}: the key stands there twice"):
            parse_manifest(spoilt)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is not JSON"),
        (b"\xef\xbb\xbf{}", "is not JSON"),
        ("{}".encode("utf-16"), "is not UTF-8"),
        (b'{"name": "\xff"}', "is not UTF-8"),
        (b"{} {}", "is not JSON"),
        (b"[]", "manifest.json: is an array; allowed: an object with the keys format, name,"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"a":' * 200_000, "nested too deeply"),
        (b'{"format": ' + b"1" * 5000 + b"}", "is not JSON|format: is an integer of|format: is the integer"),
        (b" " * ((4 << 20) + 1), "has 4194305 bytes; a manifest has at most 4194304"),
    ],
)
def test_bytes_that_are_no_manifest_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        parse_manifest(data)


def test_deep_value_is_refused_without_being_printed() -> None:
    deep: Any = []
    for _ in range(500):
        deep = [deep]
    with pytest.raises(ManifestError, match="name: is an array;"):
        parse_manifest(changed(("name",), deep))


def test_other_format_version_has_its_own_message() -> None:
    document = {"format": "edgebert/2", "everything": "else is different"}
    with pytest.raises(ManifestError, match=r"format 'edgebert/2'; this EdgeBERT reads 'edgebert/1'") as caught:
        parse_manifest(encode(document))
    assert "Install" in caught.value.hint
    with pytest.raises(ManifestError, match=r"format: is 'something'; allowed: 'edgebert/1'"):
        parse_manifest(encode({"format": "something"}))
    assert FORMAT == "edgebert/1"


def test_dump_refuses_what_could_not_be_read() -> None:
    tiny = samples.manifest()
    with pytest.raises(ManifestError, match=r"artifacts\[0\]\.tolerance: is nan"):
        dump_manifest(replace(tiny, artifacts=(samples.artifact(tolerance=math.nan),), profiles=()))
    with pytest.raises(ManifestError, match="would not read back"):
        dump_manifest(replace(tiny, profiles=list(tiny.profiles)))  # type: ignore[arg-type]
    with pytest.raises(ManifestError, match="cannot be written as JSON"):
        dump_manifest(replace(tiny, name=b"tiny"))  # type: ignore[arg-type]
    with pytest.raises(ManifestError, match="cannot be written as JSON"):
        dump_manifest(replace(tiny, name="\ud800"))


def test_manifest_lists_its_files_and_finds_artifacts() -> None:
    tiny = samples.manifest()
    assert [ref.path for ref in tiny.files] == list(samples.contents())
    assert tiny.artifact("onnx-fp32").backend == "onnx"
    with pytest.raises(KeyError):
        tiny.artifact("onnx-int4")
