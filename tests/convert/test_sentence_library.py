"""Directories that sentence-transformers writes, of today and of version 2, give its vectors."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from edgebert.convert.sentence import pooled  # noqa: E402
from tests.convert.test_sentence import ENCODER, MODEL, OLD, OLD_FLAGS, POOLING, read, write  # noqa: E402

TEXTS = ["good", "", "The cat sat on a mat, and the dog ran.", "bad film " * 40, "a b c"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    transformers = pytest.importorskip("transformers")
    from tests.runtime.tiny import make_tokenizer

    folder = tmp_path_factory.mktemp("encoder")
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=make_tokenizer(),
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        mask_token="[MASK]",
        model_max_length=64,
    )
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 4, "max_position_embeddings": 64}
    config = transformers.DistilBertConfig(vocab_size=len(tokenizer), initializer_range=0.3, **sizes)
    transformers.DistilBertModel(config).save_pretrained(folder)
    return folder


def embed(folder: Path, texts: list[str]) -> Any:
    """The texts' vectors by what is read here and the encoder of transformers, float32 [n, dim]."""
    import transformers

    modules = read(folder, allow_pickle=True)
    inside = folder / modules.encoder
    tokenizer = transformers.AutoTokenizer.from_pretrained(inside)
    model = transformers.DistilBertModel.from_pretrained(inside).eval()
    assert modules.dim == model.config.dim
    assert not modules.lowercase
    length = tokenizer.model_max_length if modules.max_length is None else modules.max_length
    inputs = tokenizer(texts, padding=True, truncation=True, max_length=length, return_tensors="pt")
    with torch.no_grad():
        rows = model(inputs["input_ids"], attention_mask=inputs["attention_mask"]).last_hidden_state
        return pooled(rows, inputs["attention_mask"], modules.pooling)


def age(folder: Path, *, max_length: int) -> None:
    """Rewrites a directory of today's library as version 2 would have written it."""
    (folder / "0_Transformer").mkdir()
    for path in list(folder.iterdir()):
        if path.is_file() and path.name not in ("modules.json", MODEL):
            path.rename(folder / "0_Transformer" / path.name)
    (folder / "0_Transformer" / ENCODER).unlink()
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["path"] = "0_Transformer"
    for module in modules:
        module["type"] = OLD + module["type"].rpartition(".")[2]
    pooling = json.loads((folder / POOLING).read_text())
    flags = {key: key.startswith(f"pooling_mode_{pooling['pooling_mode']}_t") for key in OLD_FLAGS}
    write(
        folder,
        {
            "modules.json": modules,
            MODEL: {"__version__": {"sentence_transformers": "2.2.2"}},
            "0_Transformer/sentence_distilbert_config.json": {"max_seq_length": max_length, "do_lower_case": False},
            POOLING: {"word_embedding_dimension": pooling["embedding_dimension"], **flags},
        },
    )
    for path in folder.glob("*/config.json"):
        if "_Dense" in path.parent.name:
            config = json.loads(path.read_text())
            path.write_text(json.dumps({key: config[key] for key in config if not key.startswith("module_")}))
        elif "_Normalize" in path.parent.name:
            shutil.rmtree(path.parent)


@pytest.mark.parametrize("old", [False, True], ids=["today", "version-2"])
@pytest.mark.parametrize(
    ("mode", "layers", "normalize"),
    [
        ("mean", [], False),
        ("cls", [], True),
        ("mean", [("Tanh", 16, True)], True),
        ("cls", [("GELU", 24, False), ("Identity", 8, True)], False),
        ("mean", [("ReLU", 40, True)], False),
    ],
)
def test_vectors_of_the_library(
    encoder: Path, tmp_path: Path, mode: str, layers: list[tuple[str, int, bool]], normalize: bool, old: bool
) -> None:
    library = pytest.importorskip("sentence_transformers")
    from sentence_transformers.sentence_transformer import modules

    torch.manual_seed(1)
    transformer = modules.Transformer(str(encoder), max_seq_length=40)
    parts = [transformer, modules.Pooling(32, pooling_mode=mode), modules.Dropout(0.5)]
    width = 32
    for activation, out, bias in layers:
        parts.append(modules.Dense(width, out, bias=bias, activation_function=getattr(torch.nn, activation)()))
        width = out
    parts.extend([modules.Normalize()] if normalize else [])
    written = tmp_path / "written"
    library.SentenceTransformer(modules=parts, device="cpu").save(
        str(written), create_model_card=False, safe_serialization=not old
    )
    if old:
        age(written, max_length=40)

    model = library.SentenceTransformer(str(written), device="cpu", local_files_only=True)
    assert model.max_seq_length == 40
    expected = model.encode(TEXTS, batch_size=len(TEXTS), convert_to_tensor=True)
    found = embed(written, TEXTS)
    assert found.shape == (len(TEXTS), width)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)
