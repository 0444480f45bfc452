"""Shared by all tests: the exporter stays quiet, and what several processes may share out between them."""

from __future__ import annotations

import logging

import pytest


@pytest.fixture(autouse=True, scope="session")
def _quiet_exporter() -> None:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)


_SHARED_OUT = {"test_networks.py", "test_kernels_asan.py"}
"""Files without shared fixtures whose tests take long; every other file runs in one process."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests of a file together, so that what they share is made once."""
    for item in items:
        if config.pluginmanager.hasplugin("xdist") and item.path.name not in _SHARED_OUT:
            item.add_marker(pytest.mark.xdist_group(str(item.path)))
