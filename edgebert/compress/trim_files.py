"""The files of a checkpoint that name token ids, rewritten for a smaller vocabulary.

A kept token's new id is its place among the kept ones: their order stays.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from edgebert.convert.source import (
    CONFIG_NAME,
    TOKENIZER_CONFIG_NAME,
    TOKENIZER_NAME,
    VOCABULARY_NAME,
    SourceDirectory,
)

ADDED_TOKENS_NAME = "added_tokens.json"
GENERATION_NAME = "generation_config.json"


class TokenizerJson:
    """A ``tokenizer.json`` with a WordPiece model, taken apart.

    Args:
        data: what ``tokenizers.Tokenizer.to_str`` gives of a tokenizer that
            ``edgebert.convert.tokenizer_file.read_tokenizer`` has accepted.

    Attributes:
        vocabulary: token to id, without the added tokens that are no part of the model.
        added: added tokens, special or not, to id.
        prefix: what marks a token that continues a word.
        unknown: the token for what is unknown.
    """

    def __init__(self, data: str) -> None:
        self._value: dict[str, Any] = json.loads(data)
        model = self._value["model"]
        self.vocabulary: dict[str, int] = model["vocab"]
        self.added: dict[str, int] = {token["content"]: token["id"] for token in self._value["added_tokens"]}
        self.prefix: str = model["continuing_subword_prefix"]
        self.unknown: str = model["unk_token"]

    def tokens(self) -> dict[str, int]:
        """All tokens, added ones included, to their ids."""
        return {**self.vocabulary, **self.added}

    def special_ids(self) -> set[int]:
        """The ids of added tokens, of the unknown token, and of those put around a text."""
        return {*self.added.values(), self.vocabulary[self.unknown], *_processor_ids(self._value["post_processor"])}

    def trimmed(self, ids: Mapping[int, int]) -> bytes:
        """The file with the kept tokens alone.

        Truncation and padding, which training leaves behind, are taken out: they are no part of a tokenizer.

        Args:
            ids: old id to new id, of the kept tokens.
        """
        value = dict(self._value)
        kept = sorted((ids[old], token) for token, old in self.vocabulary.items() if old in ids)
        value["model"] = {**value["model"], "vocab": {token: new for new, token in kept}}
        value["added_tokens"] = [{**token, "id": ids[token["id"]]} for token in value["added_tokens"]]
        value["post_processor"] = _processor(value["post_processor"], ids)
        value["truncation"] = value["padding"] = None
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _processor_ids(processor: object) -> set[int]:
    if isinstance(processor, dict):
        if processor["type"] == "Sequence":
            return set().union(*map(_processor_ids, processor["processors"]))
        if processor["type"] == "TemplateProcessing":
            return {index for token in processor["special_tokens"].values() for index in token["ids"]}
        if processor["type"] in ("BertProcessing", "RobertaProcessing"):
            return {processor["sep"][1], processor["cls"][1]}
    return set()


def _processor(processor: object, ids: Mapping[int, int]) -> object:
    if isinstance(processor, dict):
        if processor["type"] == "Sequence":
            return {**processor, "processors": [_processor(part, ids) for part in processor["processors"]]}
        if processor["type"] == "TemplateProcessing":
            tokens = {
                name: {**token, "ids": [ids[index] for index in token["ids"]]}
                for name, token in processor["special_tokens"].items()
            }
            return {**processor, "special_tokens": tokens}
        if processor["type"] in ("BertProcessing", "RobertaProcessing"):
            return {**processor, **{key: [processor[key][0], ids[processor[key][1]]] for key in ("sep", "cls")}}
    return processor


def named_ids(source: SourceDirectory) -> set[int]:
    """The ids that ``config.json`` and ``generation_config.json`` name, such as ``pad_token_id``."""
    found: set[int] = set()
    for name in (CONFIG_NAME, GENERATION_NAME):
        if source.has(name):
            found |= {value for key, value in source.read_json(name).items() if _names_id(key, value)}
    return found


def _names_id(key: str, value: object) -> bool:
    return key.endswith("_token_id") and isinstance(value, int) and not isinstance(value, bool)


def check_vocabulary_file(source: SourceDirectory, tokenizer: TokenizerJson) -> None:
    """Raises ``CheckpointError`` unless each line of ``vocab.txt`` is the token of that id in ``tokenizer.json``."""
    if not source.has(VOCABULARY_NAME) or not source.has(TOKENIZER_NAME):
        return
    lines = [line.removesuffix("\r") for line in _decoded(source, VOCABULARY_NAME).split("\n")]
    if lines and not lines[-1]:
        lines.pop()
    tokens = tokenizer.tokens()
    for index, token in enumerate(lines):
        if tokens.get(token) != index:
            raise source.error(
                VOCABULARY_NAME,
                f"line {index + 1} is {token!r}, whose id in {TOKENIZER_NAME} is {tokens.get(token)}, not {index}.",
                "They are of different tokenizers: remove the one that the model was not trained with.",
            )


def _decoded(source: SourceDirectory, name: str) -> str:
    try:
        return source.read(name).decode("utf-8")
    except UnicodeDecodeError as error:
        raise source.error(name, f"not UTF-8 at byte {error.start + 1}.", "Save the tokenizer again.") from error


def rewritten(source: SourceDirectory, tokenizer: TokenizerJson, ids: Mapping[int, int]) -> dict[str, bytes]:
    """What stands in each file that names ids or lists the vocabulary, after the trimming.

    Args:
        source: the encoder's directory.
        tokenizer: its tokenizer.
        ids: old id to new id, of the kept tokens.

    Returns:
        File name to content; ``tokenizer.json`` in any case, the others where they are there.

    Raises:
        CheckpointError: a file cannot be read or names ids in a form that is unknown.
    """
    files = {TOKENIZER_NAME: tokenizer.trimmed(ids)}
    if source.has(VOCABULARY_NAME):
        names = {old: token for token, old in tokenizer.tokens().items()}
        last = max(new for token, old in tokenizer.vocabulary.items() if (new := ids.get(old, -1)) >= 0)
        by_new = {new: names[old] for old, new in ids.items() if new <= last}
        files[VOCABULARY_NAME] = "".join(f"{by_new[new]}\n" for new in range(last + 1)).encode()
    for name in (CONFIG_NAME, GENERATION_NAME):
        if source.has(name):
            config = source.read_json(name)
            # None for an id that is no token, such as one of another model's.
            config.update({key: ids.get(value) for key, value in config.items() if _names_id(key, value)})
            if name == CONFIG_NAME:
                config["vocab_size"] = len(ids)
            files[name] = _dumped(config)
    if source.has(ADDED_TOKENS_NAME):
        added = source.read_json(ADDED_TOKENS_NAME)
        renumbered = {token: _new(source, ADDED_TOKENS_NAME, old, ids) for token, old in added.items()}
        files[ADDED_TOKENS_NAME] = _dumped(renumbered)
    if source.has(TOKENIZER_CONFIG_NAME):
        settings = source.read_json(TOKENIZER_CONFIG_NAME)
        if "added_tokens_decoder" in settings:
            decoder = settings["added_tokens_decoder"]
            if not isinstance(decoder, dict):
                raise source.error(TOKENIZER_CONFIG_NAME, "added_tokens_decoder must be an object.")
            settings["added_tokens_decoder"] = {
                str(_new(source, TOKENIZER_CONFIG_NAME, old, ids)): token for old, token in decoder.items()
            }
            files[TOKENIZER_CONFIG_NAME] = _dumped(settings)
    return files


def _new(source: SourceDirectory, name: str, old: object, ids: Mapping[int, int]) -> int:
    try:
        return ids[int(str(old))]
    except (ValueError, KeyError):
        raise source.error(
            name, f"names the id {old!r}, which is not one of an added token of {TOKENIZER_NAME}."
        ) from None


def _dumped(value: Mapping[str, Any]) -> bytes:
    # Escaped, as transformers does it: a JSON text may name halves of surrogate pairs, which UTF-8 cannot hold.
    return (json.dumps(value, indent=2) + "\n").encode()
