"""Small DistilBERT classifiers, random or trained for a second, and what the converter's tests give them to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from transformers import (
    DistilBertConfig,
    DistilBertForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from edgebert.bundle.schema import Task
from edgebert.convert.checkpoint import Checkpoint
from edgebert.convert.graph import Graph
from edgebert.convert.sentence import Pooling
from tests.runtime.tiny import WORDS, make_tokenizer

LABELS = ("negative", "neutral", "positive")
SINGLE = "single_label_classification"
SIZES = {
    "dim": 32,
    "hidden_dim": 64,
    "n_layers": 2,
    "n_heads": 4,
    "max_position_embeddings": 64,
}
PRECISIONS = {"onnx": ("fp32", "int8"), "openvino": ("fp16", "int8"), "tflite": ("fp32", "fp16", "int8")}
ALL_ARTIFACTS = tuple(f"{backend}-{precision}" for backend, built in PRECISIONS.items() for precision in built)


def random_model(
    labels: Sequence[str] = LABELS, problem_type: str | None = SINGLE, *, seed: int = 0, **changes: Any
) -> DistilBertForSequenceClassification:
    """A model whose logits spread over several units and mean nothing."""
    return _with_biases(_new_model(labels, problem_type, seed, {"initializer_range": 0.3, **changes}))


def random_head(architecture: str, labels: Sequence[str] = LABELS, *, seed: int = 0, **changes: Any) -> PreTrainedModel:
    """A model of any class of transformers, by name, as :func:`random_model` is one."""
    torch.manual_seed(seed)
    config = DistilBertConfig(
        vocab_size=make_tokenizer().get_vocab_size(),
        id2label=dict(enumerate(labels)),
        attn_implementation="eager",
        **{**SIZES, "initializer_range": 0.3, **changes},
    )
    return _with_biases(getattr(transformers, architecture)(config).eval())


def _with_biases(model: Any) -> Any:
    """Biases begin at zero and norms at one: a graph that lost one would not be noticed."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def trained_model(
    labels: Sequence[str] = LABELS, problem_type: str = SINGLE, *, steps: int = 300, **changes: Any
) -> DistilBertForSequenceClassification:
    """A model with opinions: a random one is chaotic, and no 8 bits follow it."""
    model = _new_model(labels, problem_type, 0, changes).train()
    tokenizer = make_tokenizer()
    tokenizer.enable_padding()
    tokenizer.enable_truncation(model.config.max_position_embeddings)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for step in range(steps):
        examples = opinions(32, labels, problem_type, seed=1000 + step)
        encoded = tokenizer.encode_batch([text for text, _ in examples])
        loss = model(
            input_ids=torch.tensor([one.ids for one in encoded]),
            attention_mask=torch.tensor([one.attention_mask for one in encoded]),
            labels=torch.tensor([_target(answer, labels, problem_type) for _, answer in examples]),
        ).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


def opinions(
    count: int, labels: Sequence[str] = LABELS, problem_type: str = SINGLE, *, seed: int = 0
) -> list[tuple[str, Any]]:
    """Texts and their right answers, as an evaluation file has them.

    A word stands for the label of its place in ``WORDS``. Single label: most words of a text are that label's.
    Several: the labels of all words. Regression: the mean of the words' places.
    """
    random = np.random.default_rng(seed)
    kinds = [[word for place, word in enumerate(WORDS) if place % len(labels) == kind] for kind in range(len(labels))]
    examples: list[tuple[str, Any]] = []
    for _ in range(count):
        if problem_type == SINGLE:
            kind = int(random.integers(min(len(labels), len(WORDS))))
            words = [*random.choice(kinds[kind], random.integers(2, 8)), *random.choice(WORDS, random.integers(0, 2))]
            examples.append((" ".join(random.permutation(words)), labels[kind]))
            continue
        words = list(random.choice(WORDS, random.integers(1, 5)))
        places = [WORDS.index(word) for word in words]
        if problem_type == "regression":
            examples.append((" ".join(words), sum(places) / len(places)))
        else:
            examples.append(
                (" ".join(words), ",".join(labels[kind] for kind in sorted({p % len(labels) for p in places})))
            )
    return examples


def _target(answer: Any, labels: Sequence[str], problem_type: str) -> Any:
    if problem_type == SINGLE:
        return list(labels).index(answer)
    if problem_type == "regression":
        return float(answer)
    return [float(label in answer.split(",")) for label in labels]


def _new_model(
    labels: Sequence[str], problem_type: str | None, seed: int, changes: Mapping[str, Any]
) -> DistilBertForSequenceClassification:
    torch.manual_seed(seed)
    config = DistilBertConfig(
        vocab_size=make_tokenizer().get_vocab_size(),
        id2label=dict(enumerate(labels)),
        label2id={label: index for index, label in enumerate(labels)},
        problem_type=problem_type,
        attn_implementation="eager",
        **{**SIZES, **changes},
    )
    return DistilBertForSequenceClassification(config).eval()


def save(model: PreTrainedModel, folder: Path) -> Path:
    """Write the model with its tokenizer, as ``save_pretrained`` does."""
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=make_tokenizer(),
        model_max_length=model.config.max_position_embeddings,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    ).save_pretrained(folder)
    return folder


def in_memory(
    model: PreTrainedModel,
    labels: Sequence[str] = LABELS,
    *,
    task: Task | None = None,
    pooling: Pooling | None = None,
) -> Checkpoint:
    """The checkpoint without a folder, for tests that need its weights alone; a text classifier by default."""
    tensors = dict(model.state_dict())
    if type(model).__name__ == "DistilBertModel":
        tensors = {f"distilbert.{name}": tensor for name, tensor in tensors.items()}
    tensors.pop("vocab_projector.weight", None)  # the table of word embeddings once more
    return Checkpoint(
        source="in memory",
        config=model.config.to_dict(),
        architecture=type(model).__name__,
        tensors=tensors,
        tokenizer_json=make_tokenizer().to_str().encode(),
        task=task or Task("text-classification", SINGLE, tuple(labels)),
        max_length=model.config.max_position_embeddings,
        pad_id=0,
        files={},
        pooling=pooling,
    )


def transformers_logits(model: torch.nn.Module, ids: NDArray[Any], mask: NDArray[Any]) -> NDArray[np.float32]:
    with torch.inference_mode():
        logits = model(torch.from_numpy(ids).long(), torch.from_numpy(mask).long()).logits
    return np.asarray(logits.numpy())


def graph_logits(graph: Graph, ids: NDArray[np.int32], mask: NDArray[np.int32]) -> NDArray[np.float32]:
    return graph.run({"input_ids": ids, "attention_mask": mask})["logits"]


def texts(count: int, *, seed: int = 0, longest: int = 14) -> list[str]:
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, size=random.integers(1, longest + 1))) for _ in range(count)]


def write_texts(path: Path, examples: Iterable[tuple[str, Any]]) -> Path:
    path.write_text("".join(f"{text}\n" for text, _ in examples))
    return path


def write_eval(path: Path, rows: Iterable[tuple[str, object]]) -> Path:
    path.write_text("sentence\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows))
    return path


def write_target(
    folder: Path,
    artifacts: Sequence[str],
    *,
    name: str = "tiny-board",
    buckets: Sequence[int] = (8, 16, 64),
    min_int8_agreement: float = 0.8,
    max_metric_drop: float = 0.2,
    max_logit_difference: float | None = None,
) -> str:
    """A target for this machine's tests; returns what ``convert`` takes. ``max_logit_difference`` replaces fp32's."""
    lines = [f'name = "{name}"', 'title = "For tests"', "[device]"]
    lines += ['architectures = ["x86_64", "aarch64"]', "memory_mb = 1"]
    for artifact in artifacts:
        backend, precision = artifact.split("-")
        lines += ["[[artifact]]", f'backend = "{backend}"', f'precision = "{precision}"']
    if any(artifact.startswith("tflite") for artifact in artifacts):
        lines += ["[shapes]", f"buckets = {list(buckets)}"]
    lines += ["[runtime]", "install = 'pip install edgebert'"]
    gates = {
        "fp32": (1.0, 0.0, max_logit_difference or 1e-4),
        "fp16": (0.95, 0.05, 5e-2),
        "int8": (min_int8_agreement, max_metric_drop, None),
    }
    for precision in dict.fromkeys(artifact.split("-")[1] for artifact in artifacts):
        agreement, drop, difference = gates[precision]
        lines += [f"[gate.{precision}]", f"min_label_agreement = {agreement}", f"max_metric_drop = {drop}"]
        lines += [f"max_logit_difference = {difference}"] if difference else []
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "target.toml").write_text("\n".join(lines) + "\n")
    return str(folder) + "/"
