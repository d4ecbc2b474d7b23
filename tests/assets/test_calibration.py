from edgebert.assets import calibration_texts

TEXTS = calibration_texts()
WORDS = [len(text.split()) for text in TEXTS]


def test_every_text_is_there_once():
    assert len(TEXTS) == len(set(TEXTS)) == 256
    assert all(text.strip() == text != "" for text in TEXTS)


def test_lengths_go_from_one_word_to_more_than_128_tokens():
    assert WORDS.count(1) >= 10
    assert sum(words > 100 for words in WORDS) >= 24
    assert max(WORDS) >= 150


def test_it_holds_what_applications_see():
    together = "\n".join(TEXTS)
    for sample in ("https://", "@", "£|€|$", "😀|😂|👌", "é|ü|ö", "0|1|2", "!!!", "return", "?"):
        assert any(part in together for part in sample.split("|")), sample
    assert any(text.isupper() and len(text.split()) > 3 for text in TEXTS)
    assert any(text.islower() and len(text.split()) > 3 for text in TEXTS)
