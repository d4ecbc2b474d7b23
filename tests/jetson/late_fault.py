"""A plugin of pytest: the device breaks when its plans are built and the test itself begins."""

from __future__ import annotations

import os

import pytest

VARIABLE = "FAKE_TENSORRT_LATE_FAULT"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call() -> None:
    """Fixtures are ready, and with them the plans."""
    os.environ["FAKE_TENSORRT_FAULT"] = os.environ[VARIABLE]
