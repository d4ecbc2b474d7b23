"""The count of operations, and the rate of matrix products."""

from __future__ import annotations

import gemm
import numpy as np
import pytest
from harness.flops import Shape, Work, needed, share

BASE = Shape(dim=768, hidden_dim=3072, n_layers=6, labels=2)


def test_the_count_is_that_of_the_products_written_out() -> None:
    tokens, dim, hidden = 25, 768, 3072
    layer = sum(2 * tokens * k * n for k, n in ((dim, dim),) * 4 + ((dim, hidden), (hidden, dim)))
    attention = 12 * 2 * (2 * tokens * tokens * 64)  # heads, products, of 64 columns
    keys_and_values = 2 * 2 * tokens * dim * dim
    of_one_row = sum(2 * k * n for k, n in ((dim, dim),) * 2 + ((dim, hidden), (hidden, dim)))
    head = 2 * dim * dim + 2 * dim * 2
    work = needed([tokens], BASE)
    assert work.linear == 5 * layer + keys_and_values + of_one_row + head
    assert work.attention == 5 * attention + attention / tokens


def test_texts_add_up_and_padding_does_not_count() -> None:
    one, other, both = needed([10], BASE), needed([30], BASE), needed([10, 30], BASE)
    assert both.linear == one.linear + other.linear and both.attention == one.attention + other.attention


def test_the_share_is_time_at_the_rates_over_time_taken() -> None:
    assert share(Work(linear=100.0, attention=30.0), 10.0, linear_rate=50.0, attention_rate=10.0) == pytest.approx(0.5)


@pytest.mark.parametrize("implementation", gemm.IMPLEMENTATIONS)
def test_a_rate_is_operations_over_seconds(implementation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    products = (4, ((32, 16), (16, 32)))
    monkeypatch.setattr(gemm, "cases", lambda tokens: {"model": products})
    ran: list[object] = []

    def timed(run: object) -> float:
        assert callable(run)
        ran.append(run())
        return 0.5

    monkeypatch.setattr(gemm, "_median_seconds", timed)
    assert gemm.measure(implementation, 4, 1) == {"model": 2 * (4 * 32 * 16 + 4 * 16 * 32) / 0.5}
    if implementation.startswith("onnxruntime"):
        assert [np.shape(one) for one in ran[0]] == [(4, 16), (4, 32)]  # type: ignore[attr-defined]


def test_the_products_of_the_model_are_those_of_six_layers() -> None:
    tokens = 200
    counted = needed([tokens], Shape(768, 3072, 7, 2)).linear - needed([tokens], Shape(768, 3072, 1, 2)).linear
    assert gemm.operations(gemm.cases(tokens)["model"]) == counted
