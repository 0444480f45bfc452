"""Where kernels run: on the emulator always, on the GPU where there is one."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["emulator", pytest.param("gpu", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> str:
    """The name for `support.kernels.Kernels`."""
    name = str(request.param)
    if name == "gpu":
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs an NVIDIA GPU and a torch built for CUDA")
    return name
