"""Directories of sentence-transformers: every form in which versions 2 to 6 write them, and every refusal."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from edgebert.convert.sentence import Dense, Pooling, SentenceModules, pooled, read_sentence_modules  # noqa: E402
from edgebert.convert.source import SourceDirectory  # noqa: E402
from edgebert.errors import CheckpointError  # noqa: E402

OLD = "sentence_transformers.models."
NEW = {
    "Transformer": "sentence_transformers.base.modules.transformer.Transformer",
    "Pooling": "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
    "Dense": "sentence_transformers.base.modules.dense.Dense",
    "Normalize": "sentence_transformers.base.modules.normalize.Normalize",
    "Dropout": "sentence_transformers.sentence_transformer.modules.dropout.Dropout",
}
OLD_FLAGS = {
    "pooling_mode_cls_token": False,
    "pooling_mode_mean_tokens": True,
    "pooling_mode_max_tokens": False,
    "pooling_mode_mean_sqrt_len_tokens": False,
}
Files = dict[str, Any]


def write(folder: Path, files: Files) -> Path:
    for name, value in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(value))
    return folder


def module_list(*kinds: str, types: Callable[[str], str] = NEW.__getitem__, encoder: str = "") -> list[dict[str, Any]]:
    return [
        {"idx": index, "name": str(index), "path": f"{index}_{kind}" if index else encoder, "type": types(kind)}
        for index, kind in enumerate(kinds)
    ]


def write_dense(folder: Path, out: int, into: int, *, bias: bool = True, seed: int = 0, **config: object) -> Any:
    """A dense layer's folder; returns its tensors."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {"linear.weight": torch.randn(out, into, generator=generator)}
    if bias:
        tensors["linear.bias"] = torch.randn(out, generator=generator)
    values = {"in_features": into, "out_features": out, "bias": bias, "activation_function": "torch.nn.Tanh", **config}
    write(folder, {"config.json": values})
    save_file(tensors, folder / "model.safetensors")
    return tensors


def read(folder: Path, *, allow_pickle: bool = False) -> SentenceModules:
    modules = read_sentence_modules(SourceDirectory(folder), allow_pickle=allow_pickle)
    assert modules is not None
    return modules


def same_layers(one: tuple[Dense, ...], other: tuple[Dense, ...]) -> bool:
    return [(layer.activation, sorted(layer.tensors)) for layer in one] == [
        (layer.activation, sorted(layer.tensors)) for layer in other
    ] and all(torch.equal(a.tensors[key], b.tensors[key]) for a, b in zip(one, other, strict=True) for key in a.tensors)


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """Every supported module and every file, as version 6 writes them: 8 numbers a token, 4 a text."""
    folder = tmp_path / "whole"
    on_sentence = {"module_input_name": "sentence_embedding", "module_output_name": "sentence_embedding"}
    write_dense(folder / "2_Dense", 4, 8, **on_sentence)
    return write(
        folder,
        {
            "modules.json": module_list("Transformer", "Pooling", "Dense", "Normalize"),
            "config_sentence_transformers.json": {
                "__version__": {"sentence_transformers": "6.2.0"},
                "default_prompt_name": None,
                "model_type": "SentenceTransformer",
                "prompts": {"document": "", "query": "query: "},
                "similarity_fn_name": "cosine",
            },
            "sentence_bert_config.json": {
                "transformer_task": "feature-extraction",
                "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}},
                "module_output_name": "token_embeddings",
            },
            "1_Pooling/config.json": {"embedding_dimension": 8, "pooling_mode": "mean", "include_prompt": True},
            "3_Normalize/config.json": on_sentence,
        },
    )


def test_no_modules_json(tmp_path: Path) -> None:
    write(tmp_path, {"config.json": {}})
    assert read_sentence_modules(SourceDirectory(tmp_path), allow_pickle=False) is None


def test_version_6(whole: Path) -> None:
    source = SourceDirectory(whole)
    modules = read_sentence_modules(source, allow_pickle=False)
    assert modules is not None
    assert (modules.encoder, modules.dim, modules.max_length, modules.lowercase) == ("", 8, None, False)
    assert (modules.pooling.mode, modules.pooling.normalize) == ("mean", True)
    assert same_layers(modules.pooling.dense, (Dense(load_file(whole / "2_Dense/model.safetensors"), "tanh"),))
    # Whatever was read counts as a part of the checkpoint.
    read_files = {str(path.relative_to(whole)): path for path in whole.rglob("*") if path.is_file()}
    assert source.digests == {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in read_files.items()}


def test_version_2(tmp_path: Path) -> None:
    tensors = write_dense(tmp_path / "2_Dense", 4, 8, activation_function="torch.nn.modules.activation.Tanh")
    (tmp_path / "2_Dense/model.safetensors").unlink()
    torch.save(tensors, tmp_path / "2_Dense/pytorch_model.bin")
    write(
        tmp_path,
        {
            "modules.json": module_list(
                "Transformer", "Pooling", "Dense", "Normalize", types=OLD.__add__, encoder="0_Transformer"
            ),
            "config_sentence_transformers.json": {"__version__": {"sentence_transformers": "2.2.2"}},
            "0_Transformer/sentence_bert_config.json": {"max_seq_length": 128, "do_lower_case": False},
            "1_Pooling/config.json": {"word_embedding_dimension": 8, **OLD_FLAGS},
        },
    )
    with pytest.raises(CheckpointError, match=r"2_Dense.pytorch_model\.bin: .*pickle.*--allow-pickle"):
        read(tmp_path)
    modules = read(tmp_path, allow_pickle=True)
    assert (modules.encoder, modules.dim, modules.max_length) == ("0_Transformer", 8, 128)
    assert modules.pooling.normalize
    assert same_layers(modules.pooling.dense, (Dense(tensors, "tanh"),))


@pytest.mark.parametrize(
    ("config", "mode"),
    [
        ({"word_embedding_dimension": 8, "pooling_mode_mean_tokens": True}, "mean"),
        ({"word_embedding_dimension": 8}, "mean"),
        ({"word_embedding_dimension": 8, **OLD_FLAGS, "include_prompt": False}, "mean"),
        (
            {
                "word_embedding_dimension": 8,
                **OLD_FLAGS,
                "pooling_mode_cls_token": True,
                "pooling_mode_mean_tokens": False,
                "pooling_mode_weightedmean_tokens": False,
                "pooling_mode_lasttoken": False,
            },
            "cls",
        ),
        ({"embedding_dimension": 8, "pooling_mode": "cls"}, "cls"),
        ({"embedding_dimension": 8, "pooling_mode": ["cls"]}, "cls"),
        ({"embedding_dimension": 8, "pooling_mode": "cls", **OLD_FLAGS}, "cls"),  # the flags are dropped
    ],
)
def test_pooling_modes(whole: Path, config: Files, mode: str) -> None:
    write(whole, {"1_Pooling/config.json": config})
    modules = read(whole)
    assert (modules.pooling.mode, modules.dim) == (mode, 8)


@pytest.mark.parametrize(
    "name",
    [f"sentence_{model}_config.json" for model in ("bert", "roberta", "distilbert", "camembert", "albert", "xlnet")],
)
def test_names_of_the_encoder_settings(whole: Path, name: str) -> None:
    (whole / "sentence_bert_config.json").unlink()
    write(whole, {name: {"max_seq_length": 75, "do_lower_case": True}})
    modules = read(whole)
    assert (modules.max_length, modules.lowercase) == (75, True)


def test_todays_encoder_settings_come_first(whole: Path) -> None:
    write(whole, {"sentence_bert_config.json": {"max_seq_length": 75}})
    write(whole, {"sentence_distilbert_config.json": {"max_seq_length": 12}})
    assert read(whole).max_length == 75


def test_no_encoder_settings(whole: Path) -> None:
    (whole / "sentence_bert_config.json").unlink()
    assert (read(whole).max_length, read(whole).lowercase) == (None, False)


@pytest.mark.parametrize(
    ("dotted", "activation"),
    [
        ("torch.nn.modules.linear.Identity", "identity"),
        ("torch.nn.modules.activation.Tanh", "tanh"),
        ("torch.nn.modules.activation.GELU", "gelu"),
        ("torch.nn.modules.activation.ReLU", "relu"),
        ("torch.nn.ReLU", "relu"),
    ],
)
def test_activations(whole: Path, dotted: str, activation: str) -> None:
    write_dense(whole / "2_Dense", 4, 8, activation_function=dotted)
    assert read(whole).pooling.dense[0].activation == activation


def test_dropout_is_skipped(whole: Path) -> None:
    write(
        whole,
        {
            "modules.json": module_list("Transformer", "Pooling", "Dropout", "Dense"),
            "2_Dropout/config.json": {"dropout": 0.5},
        },
    )
    tensors = write_dense(whole / "3_Dense", 3, 8, bias=False)
    modules = read(whole)
    assert same_layers(modules.pooling.dense, (Dense(tensors, "tanh"),))
    assert not modules.pooling.normalize


def test_several_dense_layers(whole: Path) -> None:
    write(whole, {"modules.json": module_list("Transformer", "Pooling", "Dense", "Dense")})
    first = load_file(whole / "2_Dense/model.safetensors")
    second = write_dense(whole / "3_Dense", 3, 4, seed=1, activation_function="torch.nn.Identity")
    assert same_layers(read(whole).pooling.dense, (Dense(first, "tanh"), Dense(second, "identity")))
    write_dense(whole / "3_Dense", 3, 8)
    with pytest.raises(CheckpointError, match="in_features is 8, the vector that comes in has 4 numbers"):
        read(whole)


def refusal(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read(folder)
    assert type(caught.value) is CheckpointError
    assert caught.value.hint
    return caught.value.message


@pytest.mark.parametrize(
    ("kinds", "part"),
    [
        ((), "has no Transformer module"),
        (("Transformer",), "has no Pooling module"),
        (("Pooling",), "module 0, Pooling, comes first"),
        (("Transformer", "Normalize"), "module 1, Normalize, follows Transformer"),
        (("Transformer", "Pooling", "Pooling"), "module 2, Pooling, follows Pooling"),
        (("Transformer", "Pooling", "Normalize", "Dense"), "module 3, Dense, follows Normalize"),
        (("Transformer", "Pooling", "Normalize", "Normalize"), "module 3, Normalize, follows Normalize"),
        (("Transformer", "WordWeights", "Pooling"), "module 1 is a WordWeights, which"),
        (("Transformer", "Pooling", "LayerNorm"), "module 2 is a LayerNorm, which"),
        (("WordEmbeddings", "LSTM", "Pooling"), "module 0 is a WordEmbeddings, which"),
    ],
)
def test_other_modules(whole: Path, kinds: tuple[str, ...], part: str) -> None:
    write(whole, {"modules.json": module_list(*kinds, types=OLD.__add__)})
    message = refusal(whole)
    assert str(whole / "modules.json") in message
    assert part in message


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"type": "modeling_own.Pooling"}, "module 1 is 'modeling_own.Pooling', which is foreign code"),
        ({"type": "Pooling"}, "which is foreign code"),
        ({"type": None}, "module 1 must have the texts name, path and type"),
        ({"path": 3}, "module 1 must have the texts name, path and type"),
        ({"path": "../1_Pooling"}, "has the path '../1_Pooling', not a folder of the checkpoint"),
        ({"path": "/1_Pooling"}, "has the path '/1_Pooling', not a folder"),
        ({"path": "C:\\1_Pooling"}, "not a folder of the checkpoint"),
        ({"path": "elsewhere"}, "elsewhere/config.json: no such file"),
        ({"name": "0"}, "two modules are named '0'"),
    ],
)
def test_entries_of_modules_json(whole: Path, change: Files, part: str) -> None:
    modules = module_list("Transformer", "Pooling")
    modules[1].update(change)
    write(whole, {"modules.json": modules})
    assert part in refusal(whole).replace("\\\\", "\\")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{}", "must hold a JSON list of modules, holds dict"),
        ("[1]", "module 0 must have the texts"),
        ("[", "not valid JSON"),
        ('[{"idx": 0, "idx": 1}]', "key 'idx' appears twice"),
        ("version https://git-lfs.github.com/spec/v1", "Git LFS pointer"),
    ],
)
def test_broken_modules_json(whole: Path, text: str, part: str) -> None:
    (whole / "modules.json").write_text(text)
    message = refusal(whole)
    assert str(whole / "modules.json") in message
    assert part in message


MODEL, ENCODER = "config_sentence_transformers.json", "sentence_bert_config.json"
POOLING, DENSE, NORMALIZE = (f"{folder}/config.json" for folder in ("1_Pooling", "2_Dense", "3_Normalize"))


@pytest.mark.parametrize(
    ("name", "change", "part"),
    [
        (MODEL, {"default_prompt_name": "query"}, "the prompt 'query: ' before every text"),
        (MODEL, {"truncate_dim": 2}, "truncate_dim is 2"),
        (MODEL, {"model_type": "SparseEncoder"}, "model_type is 'SparseEncoder'"),
        (ENCODER, {"max_seq_length": "128"}, "max_seq_length must be a number of tokens, 3 at least"),
        (ENCODER, {"max_seq_length": 2}, "is 2"),
        (ENCODER, {"max_seq_length": True}, "is True"),
        (ENCODER, {"do_lower_case": "yes"}, "do_lower_case must be true or false, is 'yes'"),
        (ENCODER, {"transformer_task": "fill-mask"}, "only 'feature-extraction' is supported"),
        (ENCODER, {"module_output_name": "sentence_embedding"}, "only 'token_embeddings' is supported"),
        (ENCODER, {"modality_config": {"text": {"method": "own"}}}, "modality_config is"),
        (ENCODER, {"model_args": {"torch_dtype": "float16"}}, "model_args is {'torch_dtype': 'float16'}"),
        (ENCODER, {"query_expansion": {"strategy": "fixed"}}, "query_expansion is"),
        (POOLING, {"embedding_dimension": None}, "embedding_dimension must be a positive whole number, is None"),
        (POOLING, {"embedding_dimension": 9}, "in_features is 8, the vector that comes in has 9 numbers"),
        (POOLING, {"pooling_mode": "max"}, "pooling by max is not supported"),
        (POOLING, {"pooling_mode": "lasttoken"}, "pooling by lasttoken is not supported"),
        (POOLING, {"pooling_mode": ["mean", "cls"]}, "pooling by mean+cls is not supported"),
        (POOLING, {"pooling_mode": 3}, "pooling by 3 is not supported"),
        (POOLING, {"pooling_mode": None, **OLD_FLAGS, "pooling_mode_cls_token": True}, "pooling by cls+mean is not"),
        (POOLING, {"pooling_mode": None, **OLD_FLAGS, "pooling_mode_lasttoken": True}, "pooling by mean+lasttoken is"),
        (POOLING, {"pooling_mode": None, "pooling_mode_cls_token": True}, "does not name pooling_mode_mean_tokens"),
        (POOLING, {"pooling_mode": None, "pooling_mode_cls_token": 1}, "pooling_mode_cls_token must be true or false"),
        (POOLING, {"own": 3}, "own is 3; this setting is not supported"),
        (DENSE, {"in_features": 0}, "in_features must be a positive whole number, is 0"),
        (DENSE, {"out_features": "4"}, "out_features must be a positive whole number, is '4'"),
        (DENSE, {"out_features": 5}, "calls for the tensors {'linear.weight': [5, 8], 'linear.bias': [5]}"),
        (DENSE, {"bias": False}, "the weights next to it are"),
        (DENSE, {"bias": None}, "bias must be true or false"),
        (DENSE, {"activation_function": "torch.nn.modules.activation.SiLU"}, "activation.SiLU'"),
        (DENSE, {"activation_function": "transformers.activations.Tanh"}, "activation_function is 'transformers."),
        (DENSE, {"activation_function": None}, "activation_function is None"),
        (DENSE, {"use_residual": True}, "use_residual is True"),
        (DENSE, {"module_input_name": "token_embeddings"}, "only 'sentence_embedding' is supported"),
        (NORMALIZE, {"module_output_name": "other"}, "only 'sentence_embedding' is supported"),
    ],
)
def test_settings(whole: Path, name: str, change: Files, part: str) -> None:
    write(whole, {name: {**json.loads((whole / name).read_text()), **change}})
    message = refusal(whole)
    assert part in message
    blamed = DENSE if change == {"embedding_dimension": 9} else name  # the layer that no longer fits
    assert str(whole / blamed) in message


def test_dense_without_weights(whole: Path) -> None:
    (whole / "2_Dense/model.safetensors").unlink()
    message = refusal(whole)
    assert str(whole / "2_Dense/model.safetensors") in message


def test_dense_that_diverged(whole: Path) -> None:
    tensors = load_file(whole / "2_Dense/model.safetensors")
    tensors["linear.bias"][1] = float("nan")
    save_file(tensors, whole / "2_Dense/model.safetensors")
    assert "linear.bias holds 1 values that are NaN" in refusal(whole)


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "identity": lambda x: x,
    "tanh": torch.tanh,
    "gelu": lambda x: x * (1 + torch.erf(x / 2**0.5)) / 2,
    "relu": lambda x: x.clamp(min=0),
}


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    mode=st.sampled_from(["mean", "cls"]),
    layers=st.lists(st.tuples(st.integers(1, 5), st.booleans(), st.sampled_from(sorted(FUNCTIONS))), max_size=2),
    normalize=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_pooled_is_the_batched_formula(
    lengths: list[int], mode: str, layers: list[tuple[int, bool, str]], normalize: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    # In float64: normalising a vector of almost nothing makes the rounding of float32 large, in both forms.
    rows = torch.randn(len(lengths), max(lengths), 3, dtype=torch.float64)
    mask = torch.tensor([[1] * length + [0] * (max(lengths) - length) for length in lengths])
    weights = mask[:, :, None].to(rows.dtype)
    expected = rows[:, 0] if mode == "cls" else (rows * weights).sum(1) / weights.sum(1)
    dense = []
    for out, bias, activation in layers:
        tensors = {"linear.weight": torch.randn(out, expected.shape[1], dtype=torch.float64)}
        if bias:
            tensors["linear.bias"] = torch.randn(out, dtype=torch.float64)
        dense.append(Dense(tensors, activation))
        expected = FUNCTIONS[activation](expected @ tensors["linear.weight"].T + tensors.get("linear.bias", 0))
    if normalize:
        expected = expected / (expected**2).sum(1, keepdim=True).sqrt().clamp(min=1e-12)
    torch.testing.assert_close(
        pooled(rows, mask, Pooling(mode, tuple(dense), normalize)), expected, atol=1e-6, rtol=1e-5
    )
