"""Inter-frame attention: what EMA-VFI computes inside one MotionFormer block.

Token maps are kept as [S,h,w,C] with S = 2N: the N first frames, then the N second frames. Attribute names are the
checkpoints' key names.

Source: Zhang et al., "Extracting Motion and Appearance via Inter-Frame Attention for Efficient Video Frame
Interpolation", CVPR 2023.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F  # noqa: N812  (the field's usual name)
from torch import Tensor, nn

from tweenrt.plugins.window_attention.reference import window_attention

WINDOW = 7
SHIFT = WINDOW // 2
"""Every second block moves its windows by so many tokens, up and to the left."""

_EPS = 1e-6


class InterFrameAttention(nn.Module):
    """Every token looks at its window of the other frame: what is there, and where it is."""

    def __init__(self, channels: int, motion: int, heads: int, shift: int) -> None:
        """Make the projections.

        Args:
            channels: of a token.
            motion: of the motion feature.
            heads: of the attention; both widths are multiples of it.
            shift: of the windows; 0 or `SHIFT`.
        """
        super().__init__()
        self.heads, self.shift = heads, shift
        self.q = nn.Linear(channels, channels)
        self.kv = nn.Linear(channels, 2 * channels)
        self.cor_embed = nn.Linear(2, motion)
        self.proj = nn.Linear(channels, channels)
        self.motion_proj = nn.Linear(motion, motion)

    def forward(self, own: Tensor, place: Tensor, outside: Tensor) -> tuple[Tensor, Tensor]:
        """Attend to the other frame.

        Args:
            own: token maps, [S,h,w,C].
            place: where their tokens lie, [1,h,w,2], -1..1.
            outside: the token that surrounds the maps, [C]; it lies at 0.

        Returns:
            What was found, [S,h,w,C], and how far away it lies, [S,h,w,M].
        """
        half = own.shape[0] // 2
        key, value = self.kv(torch.cat((own[half:], own[:half]))).chunk(2, dim=-1)
        key_outside, value_outside = self.kv(outside).chunk(2, dim=-1)
        position = self.cor_embed(place)
        found = window_attention(
            self.q(own),
            key,
            self._beside(value, position.expand(value.shape[0], -1, -1, -1)),
            key_outside,
            self._beside(value_outside, self.cor_embed(torch.zeros_like(place[0, 0, 0]))),
            heads=self.heads,
            window=WINDOW,
            shift=self.shift,
        )
        appearance, distant = self._apart(found, own.shape[-1])
        return self.proj(appearance), self.motion_proj(distant - position)

    def _beside(self, value: Tensor, position: Tensor) -> Tensor:
        """[…,C] and […,M] → […,C+M], side by side in every head: so one attention moves both."""
        parts = [x.unflatten(-1, (self.heads, x.shape[-1] // self.heads)) for x in (value, position)]
        return torch.cat(parts, dim=-1).flatten(-2)

    def _apart(self, both: Tensor, channels: int) -> tuple[Tensor, Tensor]:
        """The inverse of `_beside`."""
        heads = both.unflatten(-1, (self.heads, both.shape[-1] // self.heads))
        depth = channels // self.heads
        return heads[..., :depth].flatten(-2), heads[..., depth:].flatten(-2)


class Mlp(nn.Module):
    """Two linear layers per token around a depth-wise 3×3 convolution."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.dwconv = nn.Sequential(OrderedDict(dwconv=nn.Conv2d(hidden, hidden, 3, 1, 1, groups=hidden)))
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """[S,h,w,C] → the same shape."""
        hidden = self.dwconv(self.fc1(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        out: Tensor = self.fc2(F.gelu(hidden))
        return out


class MotionFormerBlock(nn.Module):
    """Inter-frame attention, then an MLP; the skip around the attention starts behind the normalisation."""

    def __init__(self, channels: int, motion: int, heads: int, expansion: int, shift: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, _EPS)
        self.attn = InterFrameAttention(channels, motion, heads, shift)
        self.norm2 = nn.LayerNorm(channels, _EPS)
        self.mlp = Mlp(channels, expansion * channels)

    def forward(self, x: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
        """Mix the two frames once.

        Args:
            x: token maps, [S,h,w,C].
            place: where the tokens lie, `places` of the map.

        Returns:
            Token maps [S,h,w,C] and motion maps [S,h,w,M].
        """
        own = self.norm1(x)
        # The authors pad with zeros before they normalise, and a token of zeros becomes the bias.
        appearance, motion = self.attn(own, place, self.norm1.bias)
        x = own + appearance
        return x + self.mlp(self.norm2(x)), motion


def places(height: int, width: int, device: torch.device) -> Tensor:
    """Where each token lies in a map, [1,h,w,2]: x then y, each from -1 to 1."""
    x = _ramp(width, device)[None, :].expand(height, -1)
    y = _ramp(height, device)[:, None].expand(-1, width)
    return torch.stack((x, y), dim=-1)[None]


def _ramp(size: int, device: torch.device) -> Tensor:
    """`size` evenly spaced numbers from -1 to 1."""
    position = torch.arange(size, device=device).to(torch.float32)
    return position * 2.0 / position[-1:] - 1.0
