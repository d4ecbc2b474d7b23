"""The tensors of a checkpoint: every way to store them, and every way to break them."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("optimum")

from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from edgebert.convert.checkpoint import load_checkpoint  # noqa: E402
from edgebert.convert.safetensors_file import read_safetensors  # noqa: E402
from edgebert.convert.source import SourceDirectory  # noqa: E402
from edgebert.errors import CheckpointError  # noqa: E402
from tests.convert.checkpoints import (  # noqa: E402
    edit_weights,
    refusal,
    save_checkpoint,
)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("checkpoint") / "tiny")


@pytest.fixture
def tiny(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "tiny"))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_weights_are_widened_exactly(tiny: Path, dtype: torch.dtype) -> None:
    stored = {name: tensor.to(dtype) for name, tensor in load_file(tiny / "model.safetensors").items()}
    save_file(stored, tiny / "model.safetensors")
    for name, tensor in load_checkpoint(str(tiny)).tensors.items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, stored[name].float())


def test_other_dtypes_are_refused_by_name(tiny: Path) -> None:
    edit_weights(tiny, lambda t: t.update({"classifier.bias": t["classifier.bias"].double()}))
    message = refusal(tiny)
    assert "classifier.bias is stored as F64" in message
    assert "F32, F16, BF16" in message


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shapes=st.lists(st.lists(st.integers(0, 4), max_size=3), max_size=5),
    dtype=st.sampled_from([torch.float32, torch.float16, torch.bfloat16]),
)
def test_reads_safetensors_as_the_safetensors_package_does(
    tmp_path: Path, shapes: list[list[int]], dtype: torch.dtype
) -> None:
    tensors = {f"tensor.{index}": torch.randn(shape).to(dtype) for index, shape in enumerate(shapes)}
    save_file(tensors, tmp_path / "x.safetensors")
    source = SourceDirectory(tmp_path)
    read = dict(read_safetensors(source, "x.safetensors"))
    assert read.keys() == tensors.keys()
    assert all(torch.equal(read[name], tensor.float()) for name, tensor in tensors.items())
    assert source.digests == {"x.safetensors": hashlib.sha256((tmp_path / "x.safetensors").read_bytes()).hexdigest()}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_safetensors_give_tensors_or_one_error(tmp_path: Path, pristine: Path, data: st.DataObject) -> None:
    whole = bytearray((pristine / "model.safetensors").read_bytes())
    header = 8 + int.from_bytes(whole[:8], "little")
    for _ in range(data.draw(st.integers(0, 4))):
        whole[data.draw(st.integers(0, header - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.just(len(whole)), st.integers(0, len(whole))))
    (tmp_path / "x.safetensors").write_bytes(whole[:cut])
    try:
        tensors = dict(read_safetensors(SourceDirectory(tmp_path), "x.safetensors"))
    except CheckpointError as error:
        assert str(tmp_path / "x.safetensors") in error.message
    else:
        assert cut == len(whole)
        assert all(tensor.dtype == torch.float32 for tensor in tensors.values())


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, "a starts at byte 4, expected 0"),
        (
            {
                "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
                "b": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]},
            },
            "b starts at byte 4, expected 8",
        ),
        ({"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}, "12 bytes, has 8"),
        ({"a": {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}}, r"the shape of 'a' is \[-2\]"),
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}}, "the data_offsets of 'a'"),
        ({"a": {"dtype": "F32", "shape": [2]}}, "must hold dtype, shape and data_offsets"),
        ([], "not a JSON object"),
    ],
)
def test_a_header_that_lies(tmp_path: Path, header: object, part: str) -> None:
    text = json.dumps(header).encode()
    (tmp_path / "x.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + bytes(8))
    with pytest.raises(CheckpointError, match=part):
        dict(read_safetensors(SourceDirectory(tmp_path), "x.safetensors"))


def test_truncated_weights(tiny: Path) -> None:
    whole = (tiny / "model.safetensors").read_bytes()
    (tiny / "model.safetensors").write_bytes(whole[:-100])
    message = refusal(tiny)
    assert "model.safetensors" in message
    assert f"expected {len(whole)} bytes, the file has {len(whole) - 100}" in message
    (tiny / "model.safetensors").write_bytes(whole + b"x")
    assert f"too long: expected {len(whole)} bytes" in refusal(tiny)
    (tiny / "model.safetensors").write_bytes(whole[:20])
    assert "truncated" in refusal(tiny)
    (tiny / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
    assert "git lfs pull" in refusal(tiny)


def shard(path: Path) -> dict[str, object]:
    """Splits the weights into two files; returns the index."""
    tensors = load_file(path / "model.safetensors")
    (path / "model.safetensors").unlink()
    files = {name: f"model-0000{1 + index % 2}-of-00002.safetensors" for index, name in enumerate(tensors)}
    for file in sorted(set(files.values())):
        save_file({name: tensor for name, tensor in tensors.items() if files[name] == file}, path / file)
    index = {"metadata": {}, "weight_map": files}
    (path / "model.safetensors.index.json").write_text(json.dumps(index))
    return index


def test_sharded_weights(tiny: Path) -> None:
    single = load_checkpoint(str(tiny)).tensors
    shard(tiny)
    checkpoint = load_checkpoint(str(tiny))
    assert all(torch.equal(checkpoint.tensors[name], tensor) for name, tensor in single.items())
    assert {
        "model.safetensors.index.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    } < checkpoint.files.keys()
    (tiny / "model-00002-of-00002.safetensors").unlink()
    assert "1 of 2 shards are missing: model-00002-of-00002.safetensors" in refusal(tiny)


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/passwd", "a/b.safetensors", "..", "", 3])
def test_a_shard_outside_the_directory_is_refused(tiny: Path, name: object) -> None:
    index = shard(tiny)
    index["weight_map"]["classifier.bias"] = name
    (tiny / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "classifier.bias" in refusal(tiny)


def test_shards_that_disagree_with_the_index(tiny: Path) -> None:
    index = shard(tiny)
    first, second = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
    weight_map = index["weight_map"]
    name = next(name for name, file in weight_map.items() if file == first)

    index_path = tiny / "model.safetensors.index.json"
    index_path.write_text(json.dumps({"weight_map": {**weight_map, name: second}}))
    assert f"holds tensor {name}, but the index puts it in '{second}'" in refusal(tiny)
    index_path.write_text(json.dumps({"weight_map": {**weight_map, "ghost": second}}))
    assert "lists tensor ghost" in refusal(tiny)
    index_path.write_text(json.dumps({"weight_map": {}}))
    assert "weight_map" in refusal(tiny)
    index_path.write_text(json.dumps(index))
    save_file({**load_file(tiny / second), name: load_file(tiny / first)[name]}, tiny / second)
    assert f"tensor {name} is also in another shard" in refusal(tiny)


def test_a_pickle_is_read_only_on_request(tiny: Path) -> None:
    tensors = load_file(tiny / "model.safetensors")
    (tiny / "model.safetensors").unlink()
    torch.save({name: t.half() for name, t in tensors.items()}, tiny / "pytorch_model.bin")
    message = refusal(tiny)
    assert "pickle" in message
    assert "--allow-pickle" in message
    checkpoint = load_checkpoint(str(tiny), allow_pickle=True)
    assert all(torch.equal(checkpoint.tensors[name], tensor.half().float()) for name, tensor in tensors.items())
    assert (
        checkpoint.files["pytorch_model.bin"] == hashlib.sha256((tiny / "pytorch_model.bin").read_bytes()).hexdigest()
    )


class RunsCode:
    def __reduce__(self):
        return os.mkdir, ("made-by-pickle",)


def test_a_hostile_or_broken_pickle_is_refused(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny)
    (tiny / "model.safetensors").unlink()
    for content in (pickle.dumps(RunsCode()), b"", b"not a pickle"):
        (tiny / "pytorch_model.bin").write_bytes(content)
        assert "pytorch_model.bin: cannot be loaded" in refusal(tiny, allow_pickle=True)
    torch.save({"x": RunsCode()}, tiny / "pytorch_model.bin")
    message = refusal(tiny, allow_pickle=True)
    assert f"cannot be loaded as plain weights: it calls {os.mkdir.__module__}.mkdir" in message
    assert "weights_only" not in message  # torch advises to load it anyway
    assert not (tiny / "made-by-pickle").exists()
    torch.save([1], tiny / "pytorch_model.bin")
    assert "holds list" in refusal(tiny, allow_pickle=True)
    torch.save({"x": torch.ones(2, dtype=torch.int8)}, tiny / "pytorch_model.bin")
    assert "x is stored as torch.int8" in refusal(tiny, allow_pickle=True)


def test_no_weights(tiny: Path) -> None:
    (tiny / "model.safetensors").unlink()
    assert "no weights" in refusal(tiny)


def test_missing_unknown_and_ruined_tensors(tiny: Path) -> None:
    edit_weights(tiny, lambda t: t.pop("pre_classifier.bias"))
    assert "lack: pre_classifier.bias" in refusal(tiny)
    edit_weights(
        tiny, lambda t: t.update({"pre_classifier.bias": torch.zeros(8), "vocab_projector.bias": torch.ones(1)})
    )
    assert "unknown tensors: vocab_projector.bias" in refusal(tiny)
    edit_weights(tiny, lambda t: t.pop("vocab_projector.bias"))
    load_checkpoint(str(tiny))
    for value in (float("nan"), float("inf")):
        edit_weights(tiny, lambda t, value=value: t["classifier.bias"].__setitem__(0, value))
        assert "classifier.bias holds 1 values that are NaN or infinite" in refusal(tiny)


def test_known_buffers_are_left_out(tiny: Path) -> None:
    edit_weights(tiny, lambda t: t.update({"distilbert.embeddings.position_ids": torch.arange(20)[None]}))
    assert "distilbert.embeddings.position_ids" not in load_checkpoint(str(tiny)).tensors


def test_old_names_are_read_as_transformers_reads_them(tiny: Path) -> None:
    today = load_checkpoint(str(tiny)).tensors

    def age(tensors: dict) -> None:
        for name in list(tensors):
            old = name.removeprefix("distilbert.").replace("LayerNorm.weight", "LayerNorm.gamma")
            tensors[old.replace("LayerNorm.bias", "LayerNorm.beta")] = tensors.pop(name)

    edit_weights(tiny, age)
    _, info = transformers.DistilBertForSequenceClassification.from_pretrained(tiny, output_loading_info=True)
    assert not info["missing_keys"]
    tensors = load_checkpoint(str(tiny)).tensors
    assert all(torch.equal(tensors[name], tensor) for name, tensor in today.items())
    edit_weights(tiny, lambda t: t.update({"distilbert.embeddings.LayerNorm.bias": torch.zeros(8)}))
    assert "LayerNorm.bias is there twice" in refusal(tiny)
