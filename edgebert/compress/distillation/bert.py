"""A BERT checkpoint as a teacher: loaded, and written in DistilBERT's names.

DistilBERT is BERT without token types and without the pooler (Sanh et al. 2019, section 3). A text alone has token type
0 throughout, so that row goes into the position embeddings; the dense layer of the pooler becomes the classifier's
first layer, with ReLU where BERT has tanh: there, and there alone, the function changes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from edgebert.convert.architecture import read_task
from edgebert.convert.checkpoint import Checkpoint
from edgebert.convert.source import CONFIG_NAME, SourceDirectory
from edgebert.convert.tokenizer_file import read_tokenizer
from edgebert.convert.weights import read_weights

_SIZES = (
    "vocab_size",
    "max_position_embeddings",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
)
_ACTIVATIONS = ("gelu", "relu")
_TABLE = "bert.embeddings.word_embeddings.weight"
_DECODER = {"cls.predictions.decoder.weight": _TABLE, "cls.predictions.decoder.bias": "cls.predictions.bias"}
_UNUSED = re.compile(r"bert\.pooler\.|cls\.seq_relationship\.")
_OLD_NORM = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}


@dataclass(frozen=True, slots=True)
class _Head:
    task: str
    distilbert: str
    names: Mapping[str, str]


_HEADS: Mapping[str, _Head] = {
    "BertForSequenceClassification": _Head(
        "text-classification",
        "DistilBertForSequenceClassification",
        {"bert.pooler.dense": "pre_classifier", "classifier": "classifier"},
    ),
    "BertForTokenClassification": _Head(
        "token-classification", "DistilBertForTokenClassification", {"classifier": "classifier"}
    ),
    "BertForQuestionAnswering": _Head(
        "question-answering", "DistilBertForQuestionAnswering", {"qa_outputs": "qa_outputs"}
    ),
    "BertForMaskedLM": _Head(
        "fill-mask",
        "DistilBertForMaskedLM",
        {
            "cls.predictions.transform.dense": "vocab_transform",
            "cls.predictions.transform.LayerNorm": "vocab_layer_norm",
        },
    ),
}
_LAYER = {
    "attention.self.query": "attention.q_lin",
    "attention.self.key": "attention.k_lin",
    "attention.self.value": "attention.v_lin",
    "attention.output.dense": "attention.out_lin",
    "attention.output.LayerNorm": "sa_layer_norm",
    "intermediate.dense": "ffn.lin1",
    "output.dense": "ffn.lin2",
    "output.LayerNorm": "output_layer_norm",
}


def read_bert(source: SourceDirectory, *, allow_pickle: bool) -> Checkpoint:
    """Reads a BERT with a head, in transformers' names.

    Args:
        source: its directory.
        allow_pickle: accept ``pytorch_model.bin``.

    Raises:
        CheckpointError: files are missing or broken, do not agree with each other, or something in the configuration
            has no counterpart in DistilBERT.
    """
    config = _read_config(source)
    names = config.get("architectures")
    architecture = str(names[0]) if isinstance(names, list) and len(names) == 1 else ""
    if architecture not in _HEADS:
        raise source.error(
            CONFIG_NAME,
            f"architectures is {names!r}, which cannot be a teacher.",
            f"BERTs that can: {', '.join(_HEADS)}.",
        )
    tokenizer = read_tokenizer(source, config)
    task = read_task(source, config, _HEADS[architecture].task, tokenizer, None)
    if task.labels:
        config["id2label"] = {str(index): label for index, label in enumerate(task.labels)}
        config["label2id"] = {label: index for index, label in enumerate(task.labels)}
    return Checkpoint(
        source=str(source.path),
        config=config,
        architecture=architecture,
        tensors=_fit(source, read_weights(source, allow_pickle=allow_pickle), config, architecture),
        tokenizer_json=tokenizer.json,
        task=task,
        max_length=tokenizer.max_length,
        pad_id=tokenizer.pad_id,
        files=source.digests,
        notes=tokenizer.notes,
    )


def _read_config(source: SourceDirectory) -> dict[str, Any]:
    from transformers import BertConfig

    stored = source.read_json(CONFIG_NAME)
    defaults = BertConfig()
    keys = (*_SIZES, "hidden_act", "pad_token_id", "hidden_dropout_prob", "attention_probs_dropout_prob")
    config = {**{key: getattr(defaults, key) for key in keys}, **stored}
    for key in _SIZES:
        if type(config[key]) is not int or config[key] < 1:
            raise source.error(CONFIG_NAME, f"{key} must be a positive whole number, is {config[key]!r}.")
    if config["hidden_size"] % config["num_attention_heads"]:
        raise source.error(
            CONFIG_NAME,
            f"hidden_size {config['hidden_size']} cannot be shared by num_attention_heads "
            f"{config['num_attention_heads']} without remainder.",
        )
    if config["hidden_act"] not in _ACTIVATIONS:
        raise source.error(
            CONFIG_NAME, f"hidden_act {config['hidden_act']!r} is none of DistilBERT's, {', '.join(_ACTIVATIONS)}."
        )
    if config.get("position_embedding_type", "absolute") != "absolute" or config.get("is_decoder"):
        raise source.error(
            CONFIG_NAME,
            "positions that are relative, or a decoder, have no counterpart in DistilBERT.",
            "Take another.",
        )
    return config


def _fit(
    source: SourceDirectory, stored: Mapping[str, torch.Tensor], config: Mapping[str, Any], architecture: str
) -> dict[str, torch.Tensor]:
    """The tensors under the names of today's class; exactly those that it has."""
    import transformers

    with torch.device("meta"):
        expected = getattr(transformers, architecture)(transformers.BertConfig.from_dict(dict(config))).state_dict()
    tensors: dict[str, torch.Tensor] = {}
    for name, tensor in stored.items():
        for old, new in _OLD_NORM.items():
            name = name.removesuffix(old) + new if name.endswith(f".{old}") else name
        if name in expected:
            tensors[name] = tensor
        elif not _UNUSED.match(name):
            raise source.error("", f"the weights hold an unknown tensor: {name}.", f"They must be a {architecture}'s.")
    for name, tied in _DECODER.items():
        if name not in expected or tied not in tensors:
            continue
        if name in tensors and not torch.equal(tensors[name], tensors[tied]):
            raise source.error("", f"{name} is not equal to {tied}.", "DistilBERT's vocabulary projection is tied.")
        tensors[name] = tensors[tied]
    for name, wanted in expected.items():
        if name not in tensors:
            raise source.error("", f"the weights lack {name}.", f"They must be a {architecture}'s.")
        if tensors[name].shape != wanted.shape:
            raise source.error(
                CONFIG_NAME, f"asks for {name} of shape {list(wanted.shape)}, it is {list(tensors[name].shape)}."
            )
    return tensors


def as_distilbert(bert: Checkpoint) -> Checkpoint:
    """The same layers and head under DistilBERT's names; see the module for the two things that differ.

    Args:
        bert: what :func:`read_bert` gave; its tensors are shared but for the position embeddings.
    """
    head = _HEADS[bert.architecture]
    old, config = bert.tensors, bert.config
    tensors = {f"distilbert.{name.removeprefix('bert.')}": old[name] for name in (_TABLE, *_norm("bert.embeddings"))}
    types = old["bert.embeddings.token_type_embeddings.weight"]
    tensors["distilbert.embeddings.position_embeddings.weight"] = (
        old["bert.embeddings.position_embeddings.weight"] + types[0]
    )
    for layer in range(config["num_hidden_layers"]):
        for theirs, ours in _LAYER.items():
            for kind in ("weight", "bias"):
                stored = old[f"bert.encoder.layer.{layer}.{theirs}.{kind}"]
                tensors[f"distilbert.transformer.layer.{layer}.{ours}.{kind}"] = stored
    for theirs, ours in head.names.items():
        tensors.update({f"{ours}.{kind}": old[f"{theirs}.{kind}"] for kind in ("weight", "bias")})
    if head.task == "fill-mask":
        tensors["vocab_projector.bias"] = old["cls.predictions.bias"]
    kept = ("vocab_size", "max_position_embeddings", "pad_token_id", "id2label", "label2id", "problem_type")
    renamed = {
        **{key: config[key] for key in kept if key in config},
        "dim": config["hidden_size"],
        "hidden_dim": config["intermediate_size"],
        "n_layers": config["num_hidden_layers"],
        "n_heads": config["num_attention_heads"],
        "activation": config["hidden_act"],
        "dropout": config["hidden_dropout_prob"],
        "attention_dropout": config["attention_probs_dropout_prob"],
        "sinusoidal_pos_embds": False,
    }
    return replace(bert, config=renamed, architecture=head.distilbert, tensors=tensors)


def _norm(prefix: str) -> tuple[str, str]:
    return f"{prefix}.LayerNorm.weight", f"{prefix}.LayerNorm.bias"
