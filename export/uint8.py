"""Graphs that take and give frames as a decoder hands them: uint8, [N,H,W,3], any H and W."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  (the field's usual name)
from torch import Tensor, nn

from tweenrt.contract import Kind, Padding
from tweenrt.export.checkpoint import Loaded
from tweenrt.export.network import Frames, GraphPart

_FILL = {"zeros": "constant", "replicate": "replicate", "reflect": "reflect"}


def uint8_part(loaded: Loaded, kind: Kind, frames: Frames, t: Tensor) -> GraphPart:
    """The `kind` graph of a network with uint8 frames in and, where it draws one, out.

    Args:
        loaded: the network.
        kind: which graph; features between an encoder and a synthesis graph stay as they are.
        frames: what the network looks at, each [N,3,H,W], RGB 0..1, of any H and W, to make the example from.
        t: moments, [N,1,1,1].
    """
    pad = FramePadding(loaded.spec.divisor, loaded.spec.padding)
    part = loaded.network.part(kind, tuple(pad(frame) for frame in frames), t)
    crop = pad.window(*frames[0].shape[2:])
    is_frame = tuple(name.startswith("frame") for name in part.example)
    example = {
        name: to_uint8(tensor[crop]) if frame else tensor
        for (name, tensor), frame in zip(part.example.items(), is_frame, strict=True)
    }
    draws = part.outputs == ("frame_t",)
    return GraphPart(_Uint8Frames(part.module, is_frame, pad, draws=draws), example, part.outputs)


def to_uint8(frames: Tensor) -> Tensor:
    """[N,3,H,W] RGB 0..1 → uint8 [N,H,W,3], rounded half to even and clipped."""
    return (frames.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


class FramePadding:
    """Grow planar frames to a multiple of a network's divisor, the way its authors do."""

    def __init__(self, divisor: int, padding: Padding) -> None:
        self.divisor, self.padding = divisor, padding

    def __call__(self, frame: Tensor) -> Tensor:
        """[N,3,H,W] → [N,3,H',W']."""
        (top, bottom), (left, right) = (self._amounts(size) for size in frame.shape[2:])
        return F.pad(frame, (left, right, top, bottom), mode=_FILL[self.padding.fill])

    def window(self, height: int, width: int) -> tuple[slice, ...]:
        """Where in a padded [N,3,H',W'] frame the original H×W pixels are."""
        top, left = self._amounts(height)[0], self._amounts(width)[0]
        return (slice(None), slice(None), slice(top, top + height), slice(left, left + width))

    def _amounts(self, size: int) -> tuple[int, int]:
        # Written without Python's min or if, so that it can be traced with a symbolic size.
        return self.padding.amounts(size, self.divisor)


class _Uint8Frames(nn.Module):
    """Cast, scale and pad the frames; run; crop and round what was drawn."""

    def __init__(self, network: nn.Module, is_frame: tuple[bool, ...], pad: FramePadding, *, draws: bool) -> None:
        super().__init__()
        self.network, self.is_frame, self.pad, self.draws = network, is_frame, pad, draws

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        height, width = inputs[0].shape[1:3]
        ready = [
            self.pad(x.permute(0, 3, 1, 2).float() * (1.0 / 255.0)) if frame else x
            for x, frame in zip(inputs, self.is_frame, strict=True)
        ]
        out: Tensor | tuple[Tensor, ...] = self.network(*ready)
        if not self.draws or isinstance(out, tuple):
            return out
        return to_uint8(out[self.pad.window(height, width)])
