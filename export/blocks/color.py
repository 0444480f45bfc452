"""The order of colours: networks that were trained with OpenCV expect blue first."""

from __future__ import annotations

import torch
from torch import Tensor


def swap_red_and_blue(x: Tensor) -> Tensor:
    """RGB [N,3,H,W] as BGR, and back."""
    # Split and concatenate: a reversed slice is a negative step, which not every engine builder takes.
    return torch.cat(x.chunk(3, dim=1)[::-1], dim=1)
