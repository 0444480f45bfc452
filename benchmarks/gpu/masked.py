"""MaskTiles and MaskedConv2d: UGSP's layers, and how their time depends on how many tiles of the mask are active.

All layers of a level share one list of tiles, so a layer costs its convolution and a part of the list.
"""

from __future__ import annotations

from collections.abc import Iterator

import formulations
import torch
import torch.nn.functional as F  # noqa: N812  (the field's usual name)
from timing import Place, Row, Work, compared, difference
from torch import Tensor
from workloads import FLOAT, FORMATS, HALF, HWC8, Sizes, Workload, bytes_of, kind, linear, noise, planes, room, smooth
from workloads import stored as stored_as

from tweenrt.plugins.mask_tiles.reference import mask_tiles

LIST, CONVOLUTION = "mask_tiles", "masked_conv2d"
OPS = (LIST, CONVOLUTION)
DENSE = "conv2d FP16 channels_last, no bias"
TILE = 8
_WORDS_OF_TILE = 3  # the pixels of its halves, and a place in the order
# (channels, rows, columns) of UGSP's guided stacks at 1/8, 1/4 and 1/2 of the frame.
UGSP = ((220, 90, 160), (148, 180, 320), (100, 360, 640)), ((220, 136, 240), (148, 272, 480), (100, 544, 960))
UGSP_SHARE = 0.25
SMALL = (36, 18, 22)
_SMALL_SHARE = 0.7
SWEEP = tuple((c, h, w) for c in (64, 96) for h, w in ((360, 640), (540, 960)))
SHARES = (0.05, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 1.0)
_EMULATED_SWEEP = ((16, 40, 48),)
_EMULATED_SHARES = (0.1, 0.25, 0.5, 1.0)


def blobs(place: Place, h: int, w: int, share: float) -> Tensor:
    """A mask [1,1,h,w] in FP16 of smooth blobs, of whose 8x8 tiles `share` have a set pixel."""
    if share >= 1.0:
        return torch.ones(1, 1, h, w, dtype=torch.float16, device=place.device)
    field = smooth(place, 1, h, w, 1.0)
    highest = F.max_pool2d(field, TILE, ceil_mode=True).flatten().sort(descending=True).values
    wanted = max(1, round(share * highest.numel()))
    return (field >= highest[wanted - 1]).half()


def active_share(mask: Tensor) -> float:
    """The share of 8x8 tiles with a set pixel."""
    return float(F.max_pool2d(mask.float(), TILE, ceil_mode=True).mean())


class Listing:
    """A mask and the call that lists its tiles."""

    def __init__(self, place: Place, form: int, h: int, w: int, share: float) -> None:
        self.mask = blobs(place, h, w, share)
        self.given = self.mask.to(kind(form))
        shape = (_WORDS_OF_TILE, 1, -(-h // TILE), -(-w // TILE))
        self.tiles = torch.full(shape, -1, dtype=torch.int32, device=place.device)
        self.launch = place.kernel(LIST, linear(form), 1, h, w, self.given, self.tiles)
        self.active = active_share(self.mask)

    def wrong(self) -> Tensor:
        """1 wherever the list differs from the reference's."""
        return (self.tiles.cpu() != mask_tiles(self.mask.cpu())).float()

    def workload(self) -> Workload:
        """The list as a workload of its own."""
        case = f"{self.mask.shape[2]}x{self.mask.shape[3]}, {self.active:.0%} of the tiles"
        zero = torch.zeros(self.tiles.shape)
        return Workload(case, self.launch, bytes_of(self.given, self.tiles), self.wrong, lambda: zero)


class Layer:
    """One layer of C to C channels under a mask: its tensors, and calls of its kernels."""

    def __init__(self, place: Place, form: int, c: int, h: int, w: int, share: float) -> None:
        self.form, self.channels = form, c
        self.list = Listing(place, form, h, w, share)
        self.x, self.bias = noise(place, 1, c, h, w), noise(place, c)
        self.weight = noise(place, c, c, 3, 3, scale=(9 * c) ** -0.5)
        self.slope = torch.rand(c, device=place.device).half()
        self.given, self.y = stored_as(self.x, form), room(place, form, 1, c, h, w)
        ends = [v.to(kind(form)) for v in (self.weight, self.bias, self.slope)]
        tiles, workspace = self.list.tiles, torch.empty(_workspace(form, c), dtype=torch.uint8, device=place.device)
        tail = (workspace if workspace.numel() else None, bytes_of(tiles), workspace.numel())
        self.convolve = place.kernel(CONVOLUTION, form, 1, c, h, w, c, self.given, tiles, *ends, self.y, *tail)

    def dense(self) -> dict[str, Work]:
        """The same layer computed everywhere in FP16, channels last."""
        x, weight = (v.to(memory_format=torch.channels_last) for v in (self.x, self.weight))
        ends = self.bias, self.slope
        return {
            # torch adds a bias with a kernel of its own: without one, this is what cuDNN takes.
            DENSE: lambda: F.conv2d(x, weight, padding=1),
            "conv2d, bias, PReLU, mask": lambda: formulations.masked_conv(x, self.list.mask, weight, *ends),
        }

    def expected(self) -> Tensor:
        """What the op defines, in FP32."""
        values = (self.x, self.list.mask, self.weight, self.bias, self.slope)
        return formulations.masked_conv(*(v.float() for v in values))

    def result(self) -> Tensor:
        """What the last launch made."""
        return planes(self.y, self.form, self.channels)

    def workload(self) -> Workload:
        """The convolution as a workload of its own; the list is made here, once."""
        self.list.launch()
        active, (_, c, h, w) = self.list.active, self.x.shape
        return Workload(
            f"C {c}, {h}x{w}, {active:.0%} of the tiles",
            self.convolve,
            round(active * bytes_of(self.given)) + bytes_of(self.list.tiles, self.weight, self.y),
            self.result,
            self.expected,
            round(2 * 9 * c * c * h * w * active),
            self.dense(),
            {"active": active},
        )


def build(place: Place, op: str, form: int, sizes: Sizes) -> Workload:
    """The workload of either op for a layer of UGSP; on the emulator with a small image."""
    torch.manual_seed(1)
    c, h, w = sizes[0], place.side(sizes[1]), place.side(sizes[2])
    share = _SMALL_SHARE if sizes == SMALL else UGSP_SHARE
    return Listing(place, form, h, w, share).workload() if op == LIST else Layer(place, form, c, h, w, share).workload()


def plan(op: str) -> Iterator[tuple[int, Sizes]]:
    """Formats and sizes in which an op is measured: HWC8 first; a mask is always planes."""
    if op == LIST:
        yield from ((form, sizes) for form in (HALF, FLOAT) for part in UGSP for sizes in part)
        return
    yield from ((HWC8, sizes) for part in UGSP for sizes in part)
    yield from ((form, sizes) for form in FORMATS if form != HWC8 for sizes in UGSP[0])


def sweep(place: Place) -> Iterator[Row]:
    """A row for every layer and share of active tiles; the dense times are taken once for each layer."""
    for sizes in _EMULATED_SWEEP if place.emulator else SWEEP:
        dense: list[Row] = []
        for share in _EMULATED_SHARES if place.emulator else SHARES:
            torch.manual_seed(1)
            layer = Layer(place, HWC8, *sizes, share)
            layer.list.launch()
            dense = dense or compared(place, layer.dense())
            yield {
                "layer": "C {}, {}x{}".format(*sizes),
                "active": round(layer.list.active, 4),
                "pixels": round(float(layer.list.mask.float().mean()), 4),
                "list": place.time(layer.list.launch),
                "kernel": place.time(layer.convolve),
                "formulations": dense,
                **difference(layer.result(), layer.expected()),
            }


def _workspace(form: int, channels: int) -> int:
    """Bytes that MaskedConv2d asks for with as many outputs as channels; its launcher checks them."""
    columns = -(-channels // 64) * 64
    return (-(-channels // 32) * 32 * 9 * 2 + 8) * columns if form == HWC8 else 0
