"""Makes a checkpoint of BERT-base's size, to compare speed and size with: random weights, whose answers mean nothing.

    python benchmarks/bert_base.py --like distilbert-cased-sst2 --out bert-base

It is what EdgeBERT runs of a BERT-base: twelve layers where DistilBERT has six, the one token type that such texts have
folded into the positions, and the pooler as the classifier's first layer, with ReLU where BERT has tanh.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
)

LAYERS = 12


def main() -> None:
    """Make it, and print how many parameters it and transformers' own BERT have."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--like", type=Path, required=True, help="a DistilBERT: its sizes, labels and tokenizer")
    parser.add_argument("--out", type=Path, required=True, help="the checkpoint to make, a new directory")
    arguments = parser.parse_args()
    config = DistilBertConfig.from_pretrained(arguments.like)
    config.n_layers = LAYERS
    torch.manual_seed(0)
    model = DistilBertForSequenceClassification(config)
    model.save_pretrained(arguments.out)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(arguments.like / name, arguments.out / name)
    bert = BertForSequenceClassification(BertConfig(vocab_size=config.vocab_size, num_labels=config.num_labels))
    counts = {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "parameters of BertForSequenceClassification": sum(parameter.numel() for parameter in bert.parameters()),
    }
    print(json.dumps(counts))


if __name__ == "__main__":
    main()
