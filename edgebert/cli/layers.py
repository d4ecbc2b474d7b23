"""A list of layers as an option."""

from __future__ import annotations

import click


class _Layers(click.ParamType[tuple[int, ...]]):
    name = "list"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return tuple(int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is no list of layers such as 0,2,4.", param, ctx)


LAYERS = _Layers()
"""Whole numbers with commas between, as a tuple."""
