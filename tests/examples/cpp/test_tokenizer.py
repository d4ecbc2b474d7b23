"""The tokenizer in C++ gives the ids that `tokenizers` gives."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tokenizers

from tests.examples.cpp.program import SOURCE, Program

pytestmark = pytest.mark.full  # half a minute to compile

DEFAULT = Path(__file__).parents[3] / "edgebert" / "assets" / "default" / "tokenizer.json"

CHARACTERS = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
ASSIGNED = [c for c in CHARACTERS if unicodedata.category(c) not in ("Cn", "Co")]
MARKS = [c for c in ASSIGNED if unicodedata.category(c).startswith("M")]
ASCII = CHARACTERS[:128]
WORDS = [
    *(
        "the",
        "film",
        "movie",
        "charming",
        "don't",
        "3.14",
        "[SEP]",
        "[CLS]",
        "[MASK]",
        "[PAD]",
        "[UNK]",
        "[SE",
        "[sep]",
    ),
    *("ΣΑΣ", "İstanbul", "STRASSE", "ß", "café", "cafe\u0301", "a\u0323\u0301", "a\u0301\u0323", "ﬁ", "Ǆ", "ẛ̣"),
    *(
        "한국어",
        "각",
        "中文",
        "\U0002f800",
        "\u0344",
        "\ufeff",
        "\u200d",
        "👩\u200d🔬",
        " ",
        "\n",
        "\t",
        "\u3000",
        "\x1c",
        "\x85",
    ),
]
SPECIAL = [
    "", " ", "\0", "a\0b", "\ufffd", "x" * 99, "x" * 100, "x" * 101, "é" * 100, "e\u0301" * 60, "中" * 200, "a" * 5000,
    "[SEP][SEP]", "[CLS]a[SEP]b", "![MASK]!", "##ing", "[ SEP ]", "[[SEP]]", "\u0301", "\u0301\u0323[SEP]\u0323\u0301",
]  # fmt: skip


def random_texts(count: int, seed: int) -> list[str]:
    """Words, ASCII, combining marks and anything else, with and without blanks between."""
    pick = random.Random(seed)
    pools = [WORDS, ASCII, MARKS, ASSIGNED, CHARACTERS]

    def text() -> str:
        pieces = (pick.choice(pick.choices(pools, (5, 5, 3, 5, 2))[0]) for _ in range(pick.randint(0, 40)))
        return "".join(piece + " " * (pick.random() < 0.15) for piece in pieces)

    return [text() for _ in range(count)]


def assert_same_ids(program: Program, file: Path, texts: list[str]) -> None:
    reference = tokenizers.Tokenizer.from_file(str(file))
    reference.no_truncation()
    reference.no_padding()
    expected = [encoding.ids for encoding in reference.encode_batch(texts)]
    differing = [
        (text, ids, right)
        for text, ids, right in zip(texts, program.token_ids(file, texts), expected, strict=True)
        if ids != right
    ]
    assert differing == []


@pytest.fixture
def changed_file(tmp_path: Path) -> Callable[..., Path]:
    """``changed_file(change)``: the default tokenizer's file, after ``change`` has altered its JSON."""

    def write(change: Callable[[Any], object]) -> Path:
        content = json.loads(DEFAULT.read_text(encoding="utf-8"))
        change(content)
        path = tmp_path / "tokenizer.json"
        path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        return path

    return write


def test_random_and_special_texts(program: Program) -> None:
    assert_same_ids(program, DEFAULT, [*SPECIAL, *random_texts(4000, seed=1)])


@pytest.mark.parametrize(
    "settings",
    [
        {"lowercase": False, "strip_accents": False},  # the cased checkpoints
        {"lowercase": False, "strip_accents": None},
        {"lowercase": True, "strip_accents": None},
        {"lowercase": True, "strip_accents": False},
        {"lowercase": False, "strip_accents": True},
        {"clean_text": False, "handle_chinese_chars": False},
    ],
    ids=str,
)
def test_every_setting_of_the_normalizer(
    settings: dict[str, bool | None], program: Program, changed_file: Callable[..., Path]
) -> None:
    file = changed_file(lambda content: content["normalizer"].update(settings))
    assert_same_ids(program, file, [*SPECIAL, *random_texts(2000, seed=2)])


def test_other_settings_and_the_older_post_processor(program: Program, changed_file: Callable[..., Path]) -> None:
    def change(content: Any) -> None:
        content["model"].update(max_input_chars_per_word=6, continuing_subword_prefix="@@")
        content["post_processor"] = {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}
        content["truncation"] = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
        vocabulary = content["model"]["vocab"]
        content["model"]["vocab"] = {token.replace("##", "@@"): number for token, number in vocabulary.items()}

    assert_same_ids(program, changed_file(change), [*SPECIAL, *random_texts(500, seed=3)])


def test_the_longest_added_token_wins(program: Program, changed_file: Callable[..., Path]) -> None:
    def change(content: Any) -> None:
        vocabulary = content["model"]["vocab"]
        assert not {"film noir", "\u1ebd"} & set(vocabulary)
        size = len(vocabulary)
        for number, token in ((vocabulary["film"], "film"), (size, "film noir"), (size + 1, "\u1ebd")):
            plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
            content["added_tokens"].append({"id": number, "content": token, **plain})

    texts = ["a film noir, a film, Film, films", "filmfilm noir", "caf\u1ebd e\u0303", "film noi"]
    assert_same_ids(program, changed_file(change), texts)


@pytest.mark.full  # a minute: more than a million texts, once through each tokenizer
def test_every_character(program: Program) -> None:
    assert_same_ids(program, DEFAULT, [f"a{c} {c} {c}b{c}" for c in CHARACTERS])


def test_the_tables_are_those_of_this_tokenizers() -> None:
    done = subprocess.run(
        [sys.executable, SOURCE / "make_unicode_tables.py"], capture_output=True, text=True, check=True
    )
    written = (SOURCE / "unicode_tables.hpp").read_text(encoding="utf-8")
    assert done.stdout.splitlines()[1:] == written.splitlines()[1:]  # the first line names the version


REFUSED: list[tuple[Callable[[Any], object], str]] = [
    (lambda c: c.update(normalizer=None), "the normalizer is none; this program reads BertNormalizer alone."),
    (lambda c: c.update(pre_tokenizer={"type": "Whitespace"}), "the pre_tokenizer is Whitespace; this program reads"),
    (lambda c: c["model"].update(type="BPE"), "the model is BPE; this program reads WordPiece alone."),
    (lambda c: c.update(post_processor=None), "the post_processor is none; this program reads TemplateProcessing"),
    (lambda c: c["model"].update(unk_token="[NONE]"), "the unknown token is not in the vocabulary."),
    (lambda c: c["added_tokens"][4].update(lstrip=True), 'the added token "[MASK]" has the option lstrip, which'),
    (lambda c: c["added_tokens"][4].update(normalized=True), 'the added token "[MASK]" has the option normalized'),
    (lambda c: c["added_tokens"][4].update(id=5), 'the added token "[MASK]" should have the id 4.'),
    (lambda c: c["model"].pop("vocab"), "key 'vocab' not found."),
    (lambda c: c["model"].update(vocab={"[UNK]": "one"}), "type must be number, but is string."),
]


@pytest.mark.parametrize(("change", "reason"), REFUSED)
def test_another_tokenizer_is_refused(
    change: Callable[[Any], object], reason: str, program: Program, changed_file: Callable[..., Path]
) -> None:
    assert reason in program.tokenizer_refusal(changed_file(change))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "parse error"),
        (b"[]", "cannot use at() with array"),
        (b'{"model": {}, "model": {}}', 'repeats the key "model"'),
        (b'\xef\xbb\xbf{"model": {}}', "byte order mark"),
        (b"[" * 1_000_000, "parse error"),
        (b'{"model": NaN}', "parse error"),
        (b'{"model": "\xff"}', "last read: '\"\\xff'"),
    ],
    ids=["empty", "array", "repeated", "mark", "deep", "nan", "utf8"],
)
def test_text_that_is_not_strict_json_is_refused(data: bytes, reason: str, program: Program, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(data)
    assert reason in program.tokenizer_refusal(path)


def test_a_file_that_is_not_there_is_refused(program: Program, tmp_path: Path) -> None:
    assert program.tokenizer_refusal(tmp_path / "none.json").endswith("none.json: cannot be read.")
