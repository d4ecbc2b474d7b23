"""A loaded model: what a device application calls."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgebert.bundle.schema import Manifest
from edgebert.errors import InputError
from edgebert.runtime.batching import run_windows
from edgebert.runtime.calls import gather_call
from edgebert.runtime.cascade import Tally, doubts
from edgebert.runtime.engines.base import plain_inputs
from edgebert.runtime.explanation import Explanation, StageExplanation
from edgebert.runtime.guard import GuardedEngine
from edgebert.runtime.stream import Stream
from edgebert.runtime.tasks import Outputs, Prepared, Result, TaskHandler
from edgebert.runtime.tokenization import TextTokenizer, Truncation

_STREAM_BATCHES = 16
"""How many batches of input are gathered, so that texts of similar length can run together."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """One input: where it stands among several (empty for one alone), as given, and ready to run."""

    place: str
    item: object
    prepared: Prepared


class Model:
    """A bundle's model, running on this machine. :func:`edgebert.load` makes one.

    A cascade is a model with a bigger one behind it, which answers where this one is not sure.

    Safe to call from many threads. A context manager: leaving it closes the model.

    An input's answer does not depend on its neighbours: inputs are grouped by length to save arithmetic, and padding
    is masked out.
    """

    def __init__(
        self,
        *,
        engine: GuardedEngine,
        tokenizer: TextTokenizer,
        task: TaskHandler[Any],
        manifest: Manifest,
        explanation: Explanation,
        bigger: Model | None = None,
    ) -> None:
        self._engine = engine
        self._tokenizer = tokenizer
        self._task = task
        self._manifest = manifest
        self._explanation = explanation
        self._bigger = bigger
        self._tally = Tally()

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, by class index."""
        return self._manifest.task.labels

    @property
    def task(self) -> str:
        """The name of the task, as ``transformers.pipeline`` has it."""
        return self._manifest.task.name

    @property
    def artifact(self) -> str:
        """The id of the artifact that runs."""
        return self._explanation.chosen

    @property
    def max_length(self) -> int:
        """The longest input in tokens, special tokens included; longer text is read in windows."""
        return self._tokenizer.max_length

    def __call__(self, *arguments: object, batch_size: int = 8, **options: object) -> Result:
        """Answer one input, or a list of them.

        Args:
            *arguments: one input of the task, or a list of them. As with ``transformers.pipeline``, question answering
                also takes ``question=..., context=...``, and zero-shot classification its candidate labels second.
            batch_size: how many inputs run together at most.
            **options: options of the task; see its module in ``edgebert.runtime.tasks``. Every task has
                ``truncation``: ``False`` (default) reads long text in windows, ``True`` cuts it, ``"error"`` refuses.

        Returns:
            What ``transformers.pipeline`` returns for the task; a list of it for a list.

        Raises:
            InputError: an input or an option is not usable; the message names it.
            BackendError: the backend fails, or the model is closed.
        """
        _check_batch_size(batch_size)
        inputs, options = gather_call(self._task, arguments, options)
        parsed = self._task.parse_options(**options)
        if isinstance(inputs, list):
            asked = [self._ask(item, f"inputs[{index}]", parsed) for index, item in enumerate(inputs)]
            return self._answer(asked, batch_size, parsed)[0]
        if not isinstance(inputs, (str, tuple, Mapping)) and isinstance(inputs, Iterable):
            raise InputError(
                f"inputs is an object of type {type(inputs).__name__}.",
                hint="Give one input or a list; for any other iterable use model.stream(...).",
            )
        [result] = self._answer([self._ask(inputs, "", parsed)], 1, parsed)[0]
        return self._task.wrap_single(inputs, result, parsed)

    def stream(self, inputs: Iterable[object], *, batch_size: int = 8, **options: object) -> Stream:
        """Answer any number of inputs in constant memory.

        Inputs are read as they are needed, :data:`_STREAM_BATCHES` batches ahead. Results come in the order of the
        inputs, each as in the list that calling the model gives. When reading or preparing an input fails, the
        results of all inputs before it come first.

        Args:
            inputs: inputs of the task; a generator, an open file, a list.
            batch_size: how many inputs run together at most.
            **options: as for calling the model.

        Returns:
            An iterator of results; its ``escalations`` tell how many of them the bigger model of a cascade gave.

        Raises:
            InputError: at once for an option, while iterating for an input; the message names it.
            BackendError: while iterating: the backend fails, or the model is closed.
        """
        _check_batch_size(batch_size)
        parsed = self._task.parse_options(**options)
        if isinstance(inputs, (str, bytes, Mapping)) or not isinstance(inputs, Iterable):
            raise InputError(
                f"stream takes an iterable of inputs, not an object of type {type(inputs).__name__}.",
                hint="For one input, call the model itself.",
            )
        tally = Tally()
        return Stream(self._stream(inputs, batch_size, parsed, tally), tally)

    def embed(
        self,
        inputs: str | Sequence[str],
        *,
        batch_size: int = 8,
        truncation: Truncation = False,
        precision: str = "float32",
    ) -> NDArray[Any]:
        """Embeddings of texts, for a model of the task ``sentence-similarity``.

        Args:
            inputs: a text, or a list of them.
            batch_size: how many texts run together at most.
            truncation: what to do with text over the limit, as for calling the model.
            precision: ``"float32"``, ``"int8"`` or ``"binary"``; see
                :func:`edgebert.runtime.tasks.embeddings.quantize_vectors`.

        Returns:
            float32 or int8 ``[n, dim]``, or uint8 ``[n, ceil(dim / 8)]`` for ``"binary"``; without the first dimension
            for a single text.

        Raises:
            InputError: the model is for another task, or an input or an option is not usable.
            BackendError: the backend fails, or the model is closed.
        """
        from edgebert.runtime.tasks.embeddings import SentenceSimilarity, check_precision, quantize_vectors

        _check_batch_size(batch_size)
        if not isinstance(self._task, SentenceSimilarity):
            raise InputError(
                f"A model for {self.task} gives no sentence embeddings.",
                hint="Convert a sentence-transformers directory, or an encoder with --task sentence-similarity.",
            )
        check_precision(precision)
        if isinstance(inputs, (bytes, Mapping)) or not isinstance(inputs, Iterable):
            raise InputError(
                f"inputs is an object of type {type(inputs).__name__}.", hint="Give a text or a list of texts."
            )
        texts = [inputs] if isinstance(inputs, str) else list(inputs)
        [dim] = (spec.shape[-1] for spec in self._manifest.outputs if spec.name == "sentence_embedding")
        options = self._task.parse_options(truncation=truncation)
        prepared = [self._ask(text, f"inputs[{index}]", options).prepared for index, text in enumerate(texts)]
        answers = self._run(prepared, batch_size)
        vectors = [self._task.vector(item, outputs) for item, outputs in zip(prepared, answers, strict=True)]
        quantized = quantize_vectors(np.array(vectors, np.float32).reshape(-1, int(dim)), precision)
        return quantized[0] if isinstance(inputs, str) else quantized

    def example(self, text: str) -> tuple[object, Mapping[str, Any]]:
        """An input of the task made of a plain text, and the options that answering it takes: to try and to measure."""
        return self._task.example(text), self._task.example_options

    def explain(self) -> Explanation:
        """What was chosen, what was passed over, and why. ``print`` it, or read its fields.

        Of a cascade also the bigger model, and how many of the inputs so far went there.
        """
        rule = self._manifest.cascade
        if self._bigger is None or rule is None:
            return self._explanation
        return replace(self._explanation, bigger=StageExplanation(rule, self._tally.counts, self._bigger.explain()))

    def warmup(self) -> None:
        """Run every shape once, so that the first real input is not slower than the next.

        Buckets: each of them, which also self-tests it. Dynamic shapes: the longest input, which sizes the buffers.

        Raises:
            SelfTestError: a bucket fails its golden test.
            BackendError: the backend fails, or the model is closed.
        """
        for length in self._engine.shapes.buckets or (self.max_length,):
            self._engine.run(plain_inputs(self._manifest.task.format, length))
        if self._bigger is not None:
            self._bigger.warmup()

    def close(self) -> None:
        """Free the backend, after the calls in progress. May be called again; using the model then is an error."""
        self._engine.close()
        if self._bigger is not None:
            self._bigger.close()

    def __enter__(self) -> Model:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<edgebert.Model {self._manifest.name}: {self.task}, {self.artifact}>"

    def _stream(
        self, inputs: Iterable[object], batch_size: int, options: object, tally: Tally
    ) -> Generator[Result, None, None]:
        source = enumerate(inputs)
        failure: BaseException | None = None
        exhausted = False
        while not exhausted and failure is None:
            chunk: list[_Asked] = []
            windows = 0
            # Counted in windows, not in inputs: one very long text is as much work as many short ones.
            while windows < _STREAM_BATCHES * batch_size:
                try:
                    index, item = next(source)
                    chunk.append(self._ask(item, f"inputs[{index}]", options))
                except StopIteration:
                    exhausted = True
                    break
                except Exception as error:  # whatever the caller's iterable raises; raised again below
                    failure = error
                    break
                windows += len(chunk[-1].prepared.windows)
            results, escalated = self._answer(chunk, batch_size, options)
            tally.add(len(results), escalated)
            yield from results
        if failure is not None:
            raise failure

    def _ask(self, item: object, place: str, options: object) -> _Asked:
        try:
            return _Asked(place, item, self._task.prepare(self._tokenizer, item, options))
        except InputError as error:
            raise (error.at(place) if place else error) from None

    def _answer(self, asked: Sequence[_Asked], batch_size: int, options: object) -> tuple[list[Result], int]:
        """The results, and how many of them the bigger model gave."""
        results: list[Result] = []
        escalated = 0
        for part in _parts(asked, _STREAM_BATCHES * batch_size):
            answers, count = self._answer_part(part, batch_size, options)
            results += answers
            escalated += count
        self._tally.add(len(results), escalated)
        return results, escalated

    def _answer_part(self, asked: Sequence[_Asked], batch_size: int, options: object) -> tuple[list[Result], int]:
        """As :meth:`_answer`, with all outputs in memory together; a method, so that they go before the next part."""
        outputs = self._run([one.prepared for one in asked], batch_size)
        unsure = self._unsure(asked, outputs)
        given = dict(zip(unsure, self._escalate([asked[i] for i in unsure], batch_size, options), strict=True))
        results = [
            given[i] if i in given else self._task.finish(one.prepared, own, options)
            for i, (one, own) in enumerate(zip(asked, outputs, strict=True))
        ]
        return results, len(unsure)

    def _unsure(self, asked: Sequence[_Asked], outputs: Sequence[list[Outputs]]) -> list[int]:
        """Which of the inputs are for the bigger model, in order."""
        rule = self._manifest.cascade
        if rule is None:
            return []
        answers = enumerate(zip(asked, outputs, strict=True))
        return [i for i, (one, own) in answers if doubts(rule, self._task.rows(one.prepared, own))]

    def _escalate(self, asked: Sequence[_Asked], batch_size: int, options: object) -> list[Result]:
        if not asked:
            return []
        assert self._bigger is not None  # edgebert.load opens it with the manifest's cascade
        again = [self._bigger._ask(one.item, one.place, options) for one in asked]
        return self._bigger._answer(again, batch_size, options)[0]

    def _run(self, prepared: list[Prepared], batch_size: int) -> list[list[Outputs]]:
        """The outputs of each input's windows."""
        windows = [window for item in prepared for window in item.windows]
        outputs = iter(run_windows(self._engine, windows, self._manifest.tokenizer.pad_id, batch_size))
        return [[next(outputs) for _ in item.windows] for item in prepared]


def _parts(asked: Sequence[_Asked], most: int) -> Iterator[list[_Asked]]:
    """Inputs in order, cut where they have ``most`` windows or more: their outputs are in memory together.

    Those of a mask are 120 kB.
    """
    part: list[_Asked] = []
    windows = 0
    for one in asked:
        part.append(one)
        windows += len(one.prepared.windows)
        if windows >= most:
            yield part
            part, windows = [], 0
    if part:
        yield part


def _check_batch_size(batch_size: object) -> None:
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
        raise InputError(f"batch_size={batch_size!r} is not allowed.", hint="Use a whole number of at least 1.")
