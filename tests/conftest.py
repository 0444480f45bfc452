"""Shared by all tests: the exporter stays quiet."""

from __future__ import annotations

import logging

import pytest


@pytest.fixture(autouse=True, scope="session")
def _quiet_exporter() -> None:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
