"""UGSP: flow estimation whose finer levels are computed only where a coarser level says it pays.

Clean room: written from the paper (Cheng et al., "Uncertainty-Guided Spatial Pruning Architecture for Efficient Frame
Interpolation", ACM MM 2023) and from facts about the checkpoints: key names, shapes, and the arithmetic of each block.
The authors' code was not opened, so checkpoints load, but the picture has not been compared with theirs.
"""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F  # noqa: N812  (the field's usual name)
from torch import Tensor, nn

from tweenrt.contract import Padding, TimeInput
from tweenrt.export.blocks.color import swap_red_and_blue
from tweenrt.export.blocks.ifr import PyramidEncoder, double, pair_mean, warp_both
from tweenrt.export.blocks.refine import Context, Unet
from tweenrt.export.network import Frames, GraphPart, Network
from tweenrt.export.registry import register
from tweenrt.export.spec import Count, ModelSpec, Overview, Weights
from tweenrt.plugins.mask_tiles.reference import mask_tiles
from tweenrt.plugins.masked_conv2d.reference import masked_conv2d
from tweenrt.plugins.warp_blend.reference import warp_blend

_WIDTHS = (32, 48, 72, 96)
_CONTEXT = 10
_FLOW = 4


class GuidedBlock(nn.Module):
    """A stack of 3×3 convolutions under one mask, all of their outputs merged by a 1×1 convolution."""

    def __init__(self, channels: int, convs: int, outputs: int, *, bias: bool = False) -> None:
        super().__init__()
        self.conv_head = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=bias), nn.PReLU(channels))
        self.convblock_l = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1, bias=bias) for _ in range(convs))
        self.prelu_l = nn.ModuleList(nn.PReLU(channels) for _ in range(convs))
        self.conv_last = nn.Conv2d(channels * (convs + 1), outputs, 1)

    def merged(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """[N,C,H,W] and a mask [N,1,H,W] (None: everywhere) → [N,outputs,H,W]."""
        layers = [(self.conv_head[0], self.conv_head[1]), *zip(self.convblock_l, self.prelu_l, strict=True)]
        guide = None if mask is None else (mask, mask_tiles(mask))
        features = []
        for conv, prelu in layers:
            x = prelu(conv(x)) if guide is None else _masked(conv, prelu, x, *guide)
            features.append(x)
        out: Tensor = self.conv_last(torch.cat(features, dim=1))
        return out

    @property
    def stack_weights(self) -> int:
        """Multiply-accumulates of the 3×3 stack for one pixel."""
        return sum(c.weight.numel() for c in (self.conv_head[0], *self.convblock_l))


class FlowBlock(GuidedBlock):
    """A coarse level: flow, features and the next mask's logits, all at twice its own resolution."""

    def __init__(self, channels: int, features: int, *, bias: bool = False) -> None:
        super().__init__(channels, 5, _FLOW + features, bias=bias)
        self.conv_mask = nn.Conv2d(features, 2, 3, padding=1)

    def forward(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """→ flow [N,4,2H,2W], features [N,F,2H,2W], logits [N,2,2H,2W]."""
        out = self.merged(x, mask)
        logits = self.conv_mask(out[:, _FLOW:])
        flow, features = _twice(out).split((_FLOW, out.shape[1] - _FLOW), dim=1)
        return flow, features, _twice(logits)


class FinalBlock(GuidedBlock):
    """The finest level: flow, blending mask and residual at full resolution."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 4, channels)
        self.prelu_last = nn.PReLU(channels)
        self.dconv_last = nn.ConvTranspose2d(channels, 8, 4, 2, 1)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """[N,C,H,W] → [N,8,2H,2W]: flow 4, mask logit 1, residual 3."""
        out: Tensor = self.dconv_last(self.prelu_last(self.merged(x, mask)))
        return out


class UGSP(Network):
    """Draws the middle frame; see the module.

    The pruning masks are nested: a pixel is computed at a fine level only if its parent was. `mask_threshold` is how
    far the "compute" logit must exceed the "skip" logit, 0 as trained; raise it to compute less, lower it to compute
    more. Exported graphs keep it as a setting.
    """

    takes_t = False
    mask_threshold: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.context = PyramidEncoder(_WIDTHS)
        self.glblock_first = FlowBlock(2 * _WIDTHS[3], _WIDTHS[2], bias=True)
        self.glblock_1 = FlowBlock(3 * _WIDTHS[2] + _FLOW, _WIDTHS[1])
        self.glblock_2 = FlowBlock(3 * _WIDTHS[1] + _FLOW, _WIDTHS[0])
        self.glblock_final = FinalBlock(3 * _WIDTHS[0] + _FLOW)
        self.register_buffer("mask_threshold", torch.zeros(1), persistent=False)

    def forward(self, frame0: Tensor, frame1: Tensor) -> Tensor:
        """The middle frame between `frame0` and `frame1`, [N,3,H,W], RGB 0..1."""
        return self.draw(frame0, frame1)[0]

    def draw(self, frame0: Tensor, frame1: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The middle frame and what it cost.

        Returns:
            The frame [N,3,H,W]; the share of pixels computed at 1/8, 1/4 and 1/2 of the size, [N,3]; the share of
            the dense network's multiply-accumulates that were needed, [N,1].
        """
        bgr0, bgr1 = swap_red_and_blue(frame0), swap_red_and_blue(frame1)
        mean = pair_mean(bgr0, bgr1)
        levels = [self.context(frame - mean) for frame in (bgr0, bgr1)]
        out, masks = self._estimate(levels[0], levels[1])
        flow, logit, residual = out.split((_FLOW, 1, 3), dim=1)
        drawn = self.blend(bgr0, bgr1, flow, logit, residual)
        density = torch.cat([m.mean(dim=3).mean(dim=2) for m in masks], dim=1)
        return swap_red_and_blue(drawn), density, self._share(density)

    def pair_part(self, frames: Frames, t: Tensor) -> GraphPart:
        """The graph also reports the masks' densities and the executed share of the work."""
        del t
        example = {"frame0": frames[0], "frame1": frames[1]}
        outputs = ("frame_t", "mask_density", "executed_share")
        return GraphPart(_Reporting(self), example, outputs, settings=("mask_threshold",))

    def _estimate(self, f0: tuple[Tensor, ...], f1: tuple[Tensor, ...]) -> tuple[Tensor, list[Tensor]]:
        """Flow, mask logit and residual at full size, and the pruning mask of each level."""
        flow, feature, logits = self.glblock_first(torch.cat((f0[3], f1[3]), dim=1), None)
        mask = self._mask(logits)
        masks = [mask]
        for level, block in ((2, self.glblock_1), (1, self.glblock_2)):
            seen = torch.cat((*warp_both(f0[level], f1[level], flow), feature, flow), dim=1)
            step, feature, logits = block(seen, mask)
            flow = step + double(flow)
            mask = self._mask(logits) * F.interpolate(mask, scale_factor=2.0, mode="nearest")
            masks.append(mask)
        seen = torch.cat((*warp_both(f0[0], f1[0], flow), feature, flow), dim=1)
        step = self.glblock_final(seen, mask)
        return torch.cat((step[:, :_FLOW] + double(flow), step[:, _FLOW:]), dim=1), masks

    def blend(self, frame0: Tensor, frame1: Tensor, flow: Tensor, logit: Tensor, residual: Tensor) -> Tensor:
        """Warp both frames, merge, add the residual; the mean that was subtracted cancels out, warping keeps it."""
        merged = warp_blend(frame0, frame1, flow[:, :2], flow[:, 2:], logit.sigmoid(), residual)
        return merged.clamp(0.0, 1.0)

    def _mask(self, logits: Tensor) -> Tensor:
        return (logits[:, :1] - logits[:, 1:] > self.mask_threshold).to(logits.dtype)

    def _share(self, density: Tensor) -> Tensor:
        """Executed multiply-accumulates over those of the dense network, [N,1], from the densities [N,3]."""
        blocks = ((self.glblock_1, 64), (self.glblock_2, 16), (self.glblock_final, 4))
        whole = self._dense_weights()
        stacks = [block.stack_weights / area / whole for block, area in blocks]
        parts = [density[:, k : k + 1] * stack for k, stack in enumerate(stacks)]
        return parts[0] + parts[1] + parts[2] + (1.0 - sum(stacks))

    def _dense_weights(self) -> float:
        """Multiply-accumulates of the dense network for one pixel of the frame."""
        total = 0.0
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                total += module.weight.numel() * _uses(name) / _area(name)
        return total


class RefinedUGSP(UGSP):
    """UGSP with a U-Net behind it; its context features stay where the frames have them."""

    def __init__(self) -> None:
        super().__init__()
        self.contextnet, self.unet = Context(_CONTEXT), Unet(_CONTEXT)

    def blend(self, frame0: Tensor, frame1: Tensor, flow: Tensor, logit: Tensor, residual: Tensor) -> Tensor:
        """As `UGSP.blend`, refined."""
        # The U-Net needs the warped frames anyway, so they are merged as they are instead of sampled again.
        warped0, warped1 = warp_both(frame0, frame1, flow)
        weight = logit.sigmoid()
        merged = weight * warped0 + (1.0 - weight) * warped1 + residual
        known = torch.cat((frame0, frame1, warped0, warped1, logit, flow), dim=1)
        added: Tensor = self.unet(known, self.contextnet(frame0), self.contextnet(frame1))
        return (merged + added).clamp(0.0, 1.0)


class _Reporting(nn.Module):
    """`UGSP.draw` as a module of its own."""

    def __init__(self, network: UGSP) -> None:
        super().__init__()
        self.network = network

    def forward(self, frame0: Tensor, frame1: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.network.draw(frame0, frame1)


def _masked(conv: nn.Module, prelu: nn.Module, x: Tensor, mask: Tensor, tiles: Tensor) -> Tensor:
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(prelu, nn.PReLU)
    return masked_conv2d(x, mask, conv.weight, torch.zeros(conv.out_channels), prelu.weight, tiles)


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def _uses(name: str) -> int:
    """How often a module runs for one new frame: the encoders see both."""
    return 2 if name.startswith(("context.", "contextnet.")) else 1


def _area(name: str) -> int:
    """Pixels of the frame for each pixel that a module's weights are applied to (its input, if it grows)."""
    first, second = name.split(".")[:2]
    if first in ("context", "contextnet", "unet"):
        return _REFINING[f"{first}.{second}"]
    return {"glblock_first": 256, "glblock_1": 64, "glblock_2": 16, "glblock_final": 4}[first]


_REFINING = {f"{net}{level}": 4**level for net in ("context.pyramid", "contextnet.conv") for level in (1, 2, 3, 4)}
_REFINING |= {f"unet.down{k}": 4 ** (k + 1) for k in range(4)} | {f"unet.up{k}": 4 ** (4 - k) for k in range(4)}
_REFINING |= {"unet.conv": 1}


_PAGE = "https://huggingface.co/Orange066/UGSP_Models"


_PRINTED = Overview(
    teraflops=0.016,
    count=Count.INFLATED,
    size=(256, 448),
    recount=0.0318,
    remark=(
        "dense; the printed figure is for masks that keep about 43 % of the pixels. That is 50 % less, not the 34 % "
        "less of the abstract, whose baseline is unknown"
    ),
)


def _spec(name: str, title: str, folder: str, filename: str, overview: Overview | None = None) -> ModelSpec:
    return ModelSpec(
        name=name,
        title=f"{title} (Cheng et al., ACM MM 2023)",
        build=UGSP,
        parameters=6_764_702,
        macs=(30.64, 246.19),
        t=TimeInput.FIXED,
        divisor=16,
        padding=Padding.ZEROS,
        code_licence="GPL-3.0 (the authors'); written here without it: MIT",
        weights=Weights(f"{_PAGE} (folder {folder})", filename, "GPL-3.0"),
        custom_ops=("MaskTiles", "MaskedConv2d", "WarpBlend", "WarpConcat"),
        overview=overview,
        random_gains=(("conv_last", 0.3), ("dconv_last", 0.3)),
        notes="MACs are dense; the graph reports the share it executed. Output not compared with the authors' code",
    )


_REFINED = replace(
    _spec("ugsp-refine", "UGSP, refined", "UGSP_refine/train_log", "flownet_*.pkl"),
    build=RefinedUGSP,
    parameters=8_037_105,
    macs=(32.51, 261.25),
    custom_ops=("BackwardWarp", "MaskTiles", "MaskedConv2d", "WarpConcat"),
    optional_keys=("glblock_final_teacher.",),
)

register(
    _spec("ugsp", "UGSP", "UGSP/train_log", "flownet_284.pkl", _PRINTED),
    _spec("ugsp-distill", "UGSP, distilled", "UGSP_distill/train_log", "flownet_299.pkl"),
    _REFINED,
)
