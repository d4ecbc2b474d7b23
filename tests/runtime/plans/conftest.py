"""What the tests of plans build of: the converter's artifacts."""

from __future__ import annotations

from tests.convert.conftest import exports, small, small_folder

__all__ = ["exports", "small", "small_folder"]
