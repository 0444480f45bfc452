"""Shared by all tests: the exporter stays quiet, and what several processes may share out between them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True, scope="session")
def _quiet_exporter() -> None:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)


_SHARED_OUT = {"test_networks.py", "test_kernels_asan.py"}
"""Files without shared fixtures whose tests take long; every other file runs in one process."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep the tests of a file together, so that what they share is made once."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return nodeid if Path(file).name in _SHARED_OUT else file

    return ByFile(config, log)
