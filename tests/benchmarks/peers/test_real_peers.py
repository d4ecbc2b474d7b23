"""Every peer for real, on a tiny checkpoint: it is made, it answers, and in float32 as transformers does."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
import transformers
from click.testing import CliRunner
from harness.catalogue import PEERS

from tests.benchmarks.peers.conftest import Inputs
from tests.runtime import tiny

ENVS = os.environ.get("EDGEBERT_PEERS_ENVS")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As saved by transformers 5, with 512 positions: the scripts do not know that it is tiny."""
    folder = tmp_path_factory.mktemp("checkpoint")
    torch.manual_seed(0)
    names = ("NEGATIVE", "POSITIVE")
    config = transformers.DistilBertConfig(
        vocab_size=tiny.make_tokenizer().get_vocab_size(),
        dim=128,
        hidden_dim=256,
        n_layers=2,
        n_heads=2,
        max_position_embeddings=512,
        initializer_range=0.3,
        id2label=dict(enumerate(names)),
        label2id={name: index for index, name in enumerate(names)},
    )
    transformers.DistilBertForSequenceClassification(config).save_pretrained(folder)
    tokens = {name: f"[{name[:-6].upper()}]" for name in ("pad_token", "unk_token", "cls_token", "sep_token")}
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tiny.make_tokenizer(),
        model_max_length=512,
        model_input_names=["input_ids", "attention_mask"],
        mask_token="[MASK]",
        **tokens,
    )
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.full  # minutes: eleven models are exported, in environments of their own, with 10 GB of packages
@pytest.mark.skipif(ENVS is None, reason="set EDGEBERT_PEERS_ENVS to the folder of their environments, made if missing")
def test_every_peer_answers_and_float32_as_transformers_does(inputs: Inputs, checkpoint: Path, tmp_path: Path) -> None:
    from run import main  # type: ignore[import-not-found, unused-ignore]  # the script, beside the package

    assert ENVS is not None
    given = {"checkpoint": checkpoint, "data": inputs.data, "bundle": inputs.bundle, "out": tmp_path / "out.json",
             "envs": ENVS, "peers": ",".join(peer.name for peer in PEERS), "rounds": 1, "starts": 1, "repeat": 1,
             "threads": 1}  # fmt: skip
    done = CliRunner().invoke(main, [part for name, value in given.items() for part in (f"--{name}", str(value))])
    assert done.exit_code == 0, done.output
    measured = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["peers"]
    assert list(measured) == [peer.name for peer in PEERS]
    reference = measured["transformers"]["answers"]
    for peer in PEERS:
        answers = measured[peer.name]["answers"]
        if peer.variant == "fp32" and measured[peer.name]["facts"].get("inference precision", "f32") == "f32":
            assert answers == reference, peer.name
        assert answers["labels_that_change_between_passes"] == 0, peer.name
