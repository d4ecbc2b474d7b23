"""The embedded checkpoint is what its model card says."""

import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from edgebert.assets import default_checkpoint

FOLDER = default_checkpoint()
REPOSITORY = Path(__file__).resolve().parents[2]
DEV = Path(os.environ.get("EDGEBERT_SHARED", REPOSITORY.parent / "shared")) / "data" / "sst2" / "dev.tsv"

TOKENIZER = ("tokenizer.json", "tokenizer_config.json")

OBVIOUS = [
    ("A wonderful, moving film with superb acting.", "POSITIVE"),
    ("This is the worst movie I have ever seen.", "NEGATIVE"),
    ("Charming, funny and beautifully made!", "POSITIVE"),
    ("A dull, boring mess without a single good joke.", "NEGATIVE"),
    ("I loved it.", "POSITIVE"),
    ("It isn't funny.", "NEGATIVE"),
    ("TERRIBLE", "NEGATIVE"),
    ("Great!", "POSITIVE"),
]


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.from_file(str(FOLDER / "tokenizer.json"))


@pytest.fixture(scope="module")
def classify():
    torch = pytest.importorskip("torch", reason="needs the convert extra")
    transformers = pytest.importorskip("transformers", reason="needs the convert extra")
    model = transformers.AutoModelForSequenceClassification.from_pretrained(FOLDER).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(FOLDER)

    def run(texts):
        labels = []
        for start in range(0, len(texts), 64):
            batch = tokenizer(texts[start : start + 64], padding=True, return_tensors="pt")
            with torch.inference_mode():
                logits = model(**batch).logits
            labels += [model.config.id2label[index] for index in logits.argmax(dim=-1).tolist()]
        return labels

    run.model, run.tokenizer = model, tokenizer
    return run


def test_it_is_small_and_whole():
    sizes = {path.name: path.stat().st_size for path in FOLDER.iterdir()}
    assert set(sizes) == {"README.md", "config.json", "distill.json", "losses.svg", "model.safetensors", *TOKENIZER}
    assert sum(sizes.values()) <= 8_000_000


def test_config_embeddings_and_tokenizer_have_one_vocabulary(tokenizer):
    config = json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))
    with (FOLDER / "model.safetensors").open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    embeddings = header["distilbert.embeddings.word_embeddings.weight"]
    assert config["vocab_size"] == tokenizer.get_vocab_size() == embeddings["shape"][0]
    assert config["dim"] == embeddings["shape"][1]
    assert {tensor["dtype"] for name, tensor in header.items() if name != "__metadata__"} == {"F16"}
    assert config["dtype"] == "float32"
    assert config["id2label"] == {"0": "NEGATIVE", "1": "POSITIVE"}
    assert config["pad_token_id"] == tokenizer.token_to_id("[PAD]") == 0


def test_the_tokenizer_neither_truncates_nor_pads(tokenizer):
    assert tokenizer.truncation is None
    assert tokenizer.padding is None


@given(text=st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=100))
def test_printable_ascii_has_no_unknown_token(tokenizer, text):
    assert tokenizer.token_to_id("[UNK]") not in tokenizer.encode(text.replace("[UNK]", "")).ids


def test_transformers_tokenizes_as_the_tokenizer_file_does(tokenizer, classify):
    texts = [*(text for text, _ in OBVIOUS), "Déjà-vu: 2 café's, isn't it?", "", "naïve " * 50]
    assert [encoding.ids for encoding in tokenizer.encode_batch(texts)] == classify.tokenizer(texts)["input_ids"]


def test_obvious_sentences(classify):
    assert classify([text for text, _ in OBVIOUS]) == [label for _, label in OBVIOUS]


def test_the_longest_input_has_finite_logits(classify):
    torch = pytest.importorskip("torch")
    with torch.inference_mode():
        logits = classify.model(input_ids=torch.full((1, 512), 50)).logits
    assert classify.tokenizer.model_max_length == 512
    assert logits.isfinite().all()


@pytest.mark.skipif(not DEV.is_file(), reason=f"SST-2's dev set is not at {DEV} (set EDGEBERT_SHARED)")
def test_the_model_card_gives_the_measured_accuracy(classify):
    rows = [line.rsplit("\t", 1) for line in DEV.read_text(encoding="utf-8").splitlines()[1:]]
    expected = [classify.model.config.id2label[int(label)] for _, label in rows]
    predicted = classify([text.strip() for text, _ in rows])
    right = sum(a == b for a, b in zip(predicted, expected, strict=True))
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    recorded = int(re.search(r"\((\d+)\s+right\)", card)[1])
    assert abs(right - recorded) <= 1  # another processor may round one near tie the other way
