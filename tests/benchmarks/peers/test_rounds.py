"""Who has a turn when, and what becomes of a peer that fails. The workers are in this process."""

from __future__ import annotations

from collections import Counter
from time import perf_counter
from typing import Any

from harness.rounds import SERVED_TEXTS, Bench, Plan
from harness.texts import Texts

from edgebert.errors import BackendError

TEXTS = Texts([f"text {place}" for place in range(130)], ["GOOD"] * 130, list(range(2, 132)), "")


class Fake:
    """A worker that answers at once; notes what it is asked, and whether two work at a time."""

    awake: set[str] = set()  # noqa: RUF012 (shared on purpose)

    def __init__(self, name: str, asked: list[tuple[str, str]], dies_at: int | None = None) -> None:
        self.name, self.started = name, perf_counter()
        self._asked, self._dies_at = asked, dies_at
        self._calls = 0
        self.resume()

    def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        assert Fake.awake == {self.name}
        self._asked.append((self.name, job["do"]))
        self._calls += 1
        if self._calls == self._dies_at:
            raise BackendError(f"{self.name}: it died")
        labels = ["GOOD" for _ in job.get("texts", ())]
        if self.name == "padded" and job["do"] == "bulk":
            labels[3] = "BAD"
        seconds = 1 / job.get("batch_size", 1)
        return {"labels": labels, "ms": [1.0] * len(labels), "seconds": seconds, "facts": {"name": self.name},
                "peak_rss_bytes": 1000}  # fmt: skip

    def pause(self) -> None:
        Fake.awake.remove(self.name)

    def resume(self) -> None:
        Fake.awake.add(self.name)

    def cpu_seconds(self) -> float:
        return 0.0

    def close(self) -> None:
        Fake.awake.discard(self.name)


def run(deaths: dict[str, int], plan: Plan) -> tuple[Bench, list[tuple[str, str]]]:
    Fake.awake.clear()
    asked: list[tuple[str, str]] = []
    bench = Bench(
        lambda name: Fake(name, asked, deaths.get(name)),
        {"plain": (8,), "padded": (1, 8, 4), "mortal": (8,)},
        TEXTS,
        plan,
        lambda line: None,
    )
    bench.run()
    assert not Fake.awake
    return bench, asked


def test_every_peer_has_its_turn_in_every_round_in_random_order() -> None:
    bench, asked = run({}, Plan(rounds=8, starts=3, repeat=2))
    assert not bench.failed
    assert [sorted(order) for order in bench.orders] == [["mortal", "padded", "plain"]] * 8
    assert len({tuple(order) for order in bench.orders}) > 1
    again, _ = run({}, Plan(rounds=8, starts=3, repeat=2))
    assert again.orders == bench.orders
    assert len({count for (name, job), count in Counter(asked).items() if job == "each"}) == 1
    for found in bench.measured.values():
        assert len(found.first_answer_ms) == 3 and found.peak_rss_bytes == [1000] * 3
        assert [len(row) for row in found.each_ms] == [130] * 8 and [len(row) for row in found.bulk_labels] == [260] * 8
        assert found.idle_cpu_seconds == 0


def test_the_fastest_batch_size_is_the_one_that_is_measured() -> None:
    bench, _ = run({}, Plan(rounds=1, starts=1, repeat=1))
    assert bench.measured["padded"].batch_size == 8
    assert list(bench.measured["padded"].trials) == [1, 8, 4]
    assert bench.measured["padded"].facts == {"name": "padded"}


def test_a_peer_that_fails_leaves_and_the_others_go_on() -> None:
    assert len(TEXTS.texts) > SERVED_TEXTS
    for call in (1, 2, 5, 9):
        bench, _ = run({"mortal": call}, Plan(rounds=2, starts=1, repeat=1))
        assert bench.failed == {"mortal": "mortal: it died"}
        assert sorted(bench.measured) == ["padded", "plain"]
        assert len(bench.measured["plain"].each_ms) == 2
