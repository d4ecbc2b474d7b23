"""Small teachers of each task and kind, and what students learn from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers

from tests.convert import models
from tests.runtime.tiny import WORDS, make_tokenizer

LABELS = models.LABELS
TAGS = ("O", "B-THING", "I-THING")
HEADS = {
    "text-classification": "ForSequenceClassification",
    "token-classification": "ForTokenClassification",
    "question-answering": "ForQuestionAnswering",
    "fill-mask": "ForMaskedLM",
}


def labels_of(task: str) -> Sequence[str]:
    return {"text-classification": LABELS, "token-classification": TAGS}.get(task, ("a", "b"))


def save_distilbert(folder: Path, task: str = "text-classification", **changes: Any) -> Path:
    """A random DistilBERT of four layers."""
    changes = {"n_layers": 4, **changes}
    return models.save(models.random_head(f"DistilBert{HEADS[task]}", labels_of(task), **changes), folder)


def save_bert(folder: Path, task: str = "text-classification", *, seed: int = 0, **changes: Any) -> Path:
    """A random BERT of four layers."""
    torch.manual_seed(seed)
    config = transformers.BertConfig(
        **{
            "vocab_size": make_tokenizer().get_vocab_size(),
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "max_position_embeddings": 64,
            "initializer_range": 0.3,
            "id2label": dict(enumerate(labels_of(task))),
            "label2id": {label: index for index, label in enumerate(labels_of(task))},
            **changes,
        }
    )
    model = getattr(transformers, f"Bert{HEADS[task]}")(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn_like(parameter))
    return models.save(model, folder)


def write_data(folder: Path, task: str, *, count: int = 48, seed: int = 0) -> Path:
    """A file of the task with right answers; for masked words, texts."""
    texts = models.texts(count, seed=seed)
    if task == "text-classification":
        return models.write_eval(folder / f"{seed}.tsv", models.opinions(count, seed=seed))
    if task == "fill-mask":
        return models.write_texts(folder / f"{seed}.txt", [(text, None) for text in texts])
    if task == "token-classification":
        lines = [
            "".join(f"{word} {TAGS[1] if WORDS.index(word) % 2 else TAGS[0]}\n" for word in text.split())
            for text in texts
        ]
        path = folder / f"{seed}.conll"
        path.write_text("\n".join(lines))
        return path
    path = folder / f"{seed}.jsonl"
    rows = [
        {
            "question": "what is it",
            "context": text,
            "answers": {"text": [text.split()[-1]], "answer_start": [_last(text)]},
        }
        for text in texts
    ]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def _last(text: str) -> int:
    return len(text) - len(text.split()[-1])
