"""Graphs that take and give frames as a decoder hands them: uint8, [N,H,W,3], any H and W."""

from __future__ import annotations

from enum import Enum

import torch
import torch.nn.functional as F  # noqa: N812  (the field's usual name)
from torch import Tensor, nn

from tweenrt.contract import Kind, Padding
from tweenrt.export.checkpoint import Loaded
from tweenrt.export.network import Frames, GraphPart

_MAPS = ("t", "t_ref")
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
    forms = tuple(_form(name, tensor) for name, tensor in part.example.items())
    example = {
        name: tensor if form is _Form.AS_IT_IS else to_uint8(tensor[crop]) if form is _Form.FRAME else tensor[crop]
        for (name, tensor), form in zip(part.example.items(), forms, strict=True)
    }
    wrapped = _Uint8Frames(part.module, forms, pad, draws=part.outputs[0] == "frame_t")
    return GraphPart(wrapped, example, part.outputs, part.settings, part.decides)


def to_uint8(frames: Tensor) -> Tensor:
    """[N,3,H,W] RGB 0..1 → uint8 [N,H,W,3], rounded half to even and clipped."""
    return (frames.clamp(0, 1) * 255).round().permute(0, 2, 3, 1).to(torch.uint8).contiguous()


class FramePadding:
    """Grow planar frames to a multiple of a network's divisor, the way its authors do."""

    def __init__(self, divisor: int, padding: Padding) -> None:
        self.divisor, self.padding = divisor, padding

    def __call__(self, frame: Tensor) -> Tensor:
        """[N,3,H,W] → [N,3,H',W']."""
        return self._pad(frame, self.padding.fill)

    def extend(self, distances: Tensor) -> Tensor:
        """[N,1,H,W] → [N,1,H',W']: whatever fills the frames, a pixel outside is as far as the nearest inside."""
        return self._pad(distances, Padding.REPLICATE.fill)

    def window(self, height: int, width: int) -> tuple[slice, ...]:
        """Where in a padded [N,3,H',W'] frame the original H×W pixels are."""
        top, left = self._amounts(height)[0], self._amounts(width)[0]
        return (slice(None), slice(None), slice(top, top + height), slice(left, left + width))

    def _pad(self, x: Tensor, fill: str) -> Tensor:
        (top, bottom), (left, right) = (self._amounts(size) for size in x.shape[2:])
        margins = (left, right, top, bottom)
        # Asked of plain numbers only: to compare a symbolic margin with 0 would fix the size of the graph.
        nothing = self.divisor == 1 or all(isinstance(m, int) and m == 0 for m in margins)
        return x if nothing else F.pad(x, margins, mode=_FILL[fill])

    def _amounts(self, size: int) -> tuple[int, int]:
        # Written without Python's min or if, so that it can be traced with a symbolic size.
        return self.padding.amounts(size, self.divisor)


class _Form(Enum):
    """How an input of a graph with uint8 frames reaches the network."""

    FRAME = "uint8 [N,H,W,3], scaled and padded"
    MAP = "a value for every pixel, float [N,1,H,W], padded"
    AS_IT_IS = "t for a whole sample, or features"


def _form(name: str, tensor: Tensor) -> _Form:
    if name.startswith("frame"):
        return _Form.FRAME
    return _Form.MAP if name in _MAPS and tensor.shape[2:].numel() > 1 else _Form.AS_IT_IS


class _Uint8Frames(nn.Module):
    """Cast, scale and pad the frames; run; crop and round what was drawn."""

    def __init__(self, network: nn.Module, forms: tuple[_Form, ...], pad: FramePadding, *, draws: bool) -> None:
        super().__init__()
        self.network, self.forms, self.pad, self.draws = network, forms, pad, draws

    def forward(self, *inputs: Tensor) -> Tensor | tuple[Tensor, ...]:
        height, width = inputs[0].shape[1:3]
        ready = (self._ready(x, form) for x, form in zip(inputs, self.forms, strict=True))
        out: Tensor | tuple[Tensor, ...] = self.network(*ready)
        if not self.draws:
            return out
        drawn, *others = out if isinstance(out, tuple) else (out,)
        frame = to_uint8(drawn[self.pad.window(height, width)])
        return (frame, *others) if others else frame

    def _ready(self, x: Tensor, form: _Form) -> Tensor:
        if form is _Form.FRAME:
            # TensorRT takes bytes at its inputs and outputs only if they are cast at once, or were just before.
            return self.pad(x.float().permute(0, 3, 1, 2) * (1.0 / 255.0))
        return self.pad.extend(x) if form is _Form.MAP else x
