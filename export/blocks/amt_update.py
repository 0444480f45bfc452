"""AMT's update: what the correlations around the current matches say about flow and feature.

Attribute names are the checkpoints' key names. Source: Li et al., "AMT: All-Pairs Multi-Field Transforms for
Efficient Frame Interpolation", CVPR 2023. The shape of the block is that of RAFT's update (Teed and Deng, ECCV
2020), with two convolutions in the place of its recurrent unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  (the field's usual name)
from torch import Tensor, nn

from tweenrt.export.blocks.amt_correlation import CORRELATION

FLOW = 4
_SLOPE = 0.1


@dataclass(frozen=True)
class UpdateWidths:
    """Channels inside of an update.

    Attributes:
        hidden: of the state and of both heads.
        flow: of the encoded flow; twice as many in its first convolution.
        correlation: of the one or two convolutions that encode the correlations.
        motion: of flow and correlations encoded together.
    """

    hidden: int
    flow: int
    correlation: tuple[int, ...]
    motion: int


class Update(nn.Module):
    """Corrections of the flow and of the new frame's feature."""

    def __init__(self, widths: UpdateWidths, feature: int) -> None:
        """Make the layers for a feature of `feature` channels."""
        super().__init__()
        hidden, seen = widths.hidden, widths.correlation[-1]
        self.convc1 = nn.Conv2d(CORRELATION, widths.correlation[0], 1)
        self.convc2 = _conv(widths.correlation[0], seen) if len(widths.correlation) > 1 else None
        self.convf1 = nn.Conv2d(FLOW, 2 * widths.flow, 7, 1, 3)
        self.convf2 = _conv(2 * widths.flow, widths.flow)
        self.conv = _conv(seen + widths.flow, widths.motion)
        self.gru = _pair(feature + widths.motion + FLOW, hidden, hidden)
        self.feat_head = _pair(hidden, hidden, feature)
        self.flow_head = _pair(hidden, hidden, FLOW)

    def forward(self, flow: Tensor, feature: Tensor, correlation: Tensor) -> tuple[Tensor, Tensor]:
        """What to add to the flow and to the feature.

        Args:
            flow: in pixels of this resolution, [N,4,H,W].
            feature: of the new frame, [N,C,H,W].
            correlation: around the matches of `flow`, [N,392,H,W].

        Returns:
            Like `flow` and like `feature`.
        """
        # As in RAFT: the state first, then the motion, whose last channels are the flow itself.
        state = self.gru(torch.cat((feature, self._motion(flow, correlation), flow), dim=1))
        return self.flow_head(state), self.feat_head(state)

    def _motion(self, flow: Tensor, correlation: Tensor) -> Tensor:
        seen = _activate(self.convc1(correlation))
        if self.convc2 is not None:
            seen = _activate(self.convc2(seen))
        moved = _activate(self.convf2(_activate(self.convf1(flow))))
        return _activate(self.conv(torch.cat((seen, moved), dim=1)))


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, 1, 1)


def _pair(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Two 3×3 convolutions with an activation between them."""
    return nn.Sequential(_conv(inputs, hidden), nn.LeakyReLU(_SLOPE), _conv(hidden, outputs))


def _activate(x: Tensor) -> Tensor:
    return F.leaky_relu(x, _SLOPE)
