"""Small random checkpoints with a vocabulary worth trimming."""

from __future__ import annotations

import string
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.decoders import WordPiece as WordPieceDecoder
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("optimum")

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = string.ascii_lowercase + string.digits + "éßжи中国ñ\u0301"
WORDS = ["good", "film", "films", "charm", "charming", "unfunny", "un", "##ing", "##fun", "##ny", "##ly", "жи", "##éß"]
CAPITALS = [*string.ascii_uppercase, "É", "Good", "Film", "##OO"]


def vocabulary(*, cased: bool) -> list[str]:
    """By id: special tokens that are not the first, unused ones, characters alone and as continuation, words."""
    letters = [*LETTERS, *(CAPITALS[:27] if cased else [])]
    tokens = ["[PAD]", *(f"[unused{index}]" for index in range(9)), *SPECIAL[1:], *string.punctuation]
    tokens += [*letters, *(f"##{letter}" for letter in [*letters, *string.punctuation])]
    return [*dict.fromkeys([*tokens, *WORDS, *(CAPITALS[27:] if cased else []), "😀"])]


def make_tokenizer(*, cased: bool = False, tokens: list[str] | None = None) -> Tokenizer:
    ids = {token: index for index, token in enumerate(tokens or vocabulary(cased=cased))}
    tokenizer = Tokenizer(WordPiece(vocab=ids, unk_token="[UNK]"))
    tokenizer.normalizer = BertNormalizer(lowercase=not cased)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.decoder = WordPieceDecoder()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer


def save(
    folder: Path,
    architecture: str = "DistilBertForSequenceClassification",
    *,
    cased: bool = False,
    half: bool = False,
    extra_rows: int = 0,
    **options: object,
) -> Path:
    """A checkpoint as ``save_pretrained`` writes it, with padding and truncation left over from training."""
    tokenizer = make_tokenizer(cased=cased)
    tokenizer.enable_truncation(12)
    tokenizer.enable_padding(length=12)
    torch.manual_seed(0)
    config = transformers.DistilBertConfig(
        vocab_size=tokenizer.get_vocab_size() + extra_rows,
        dim=16,
        hidden_dim=24,
        n_layers=2,
        n_heads=2,
        max_position_embeddings=64,
        initializer_range=0.3,
        id2label={0: "bad", 1: "good"},
        pad_token_id=tokenizer.token_to_id("[PAD]"),
    )
    model = getattr(transformers, architecture)(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_()
    (model.half() if half else model).save_pretrained(folder, **options)
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=64,
        **dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True)),
    ).save_pretrained(folder)
    return folder


def write_corpus(path: Path, *texts: str) -> Path:
    path.write_text("\n".join(texts or ("good film", "charming, unfunny 9")) + "\n", encoding="utf-8")
    return path
