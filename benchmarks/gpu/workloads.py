"""What is measured of every op: the sizes that IFRNet, RIFE, UGSP, CSPA and RAFT meet at 720p and 1080p.

Each is ready to launch. Networks pad 1080 rows to 1088 (a multiple of 16), CSPA does not (a multiple of 8), RIFE pads
720 rows to 768. Flows are smooth, of up to about twenty pixels, as real ones are. Channels that only fill up to eight
hold NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import formulations
import torch
import torch.nn.functional as F  # noqa: N812  (the field's usual name)
from timing import Place, Work
from torch import Tensor

from tweenrt.plugins.backward_warp.reference import backward_warp
from tweenrt.plugins.correlation_lookup.reference import correlation_lookup
from tweenrt.plugins.forward_splat.reference import forward_splat
from tweenrt.plugins.merge.reference import merge_frames
from tweenrt.plugins.warp_blend.reference import warp_blend
from tweenrt.plugins.warp_concat.reference import warp_concat
from tweenrt.plugins.warp_resize.reference import warp_resize

FLOAT, HALF, HWC8 = range(3)
FORMATS = {HWC8: "FP16 HWC8", HALF: "FP16 planes", FLOAT: "FP32 planes"}
GROUP = 8  # channels of 16 bytes

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Workload:
    """One launch that is measured.

    Attributes:
        case: sizes, in words.
        launch: queues the work.
        moved: bytes that must at least be moved: every input read once, every output written once.
        result: what the last launch made, as the op defines it.
        expected: the same by the op's reference in FP32.
        operations: multiplications and additions, for convolutions.
        formulations: the same work in torch, by name.
        facts: what else belongs on record.
    """

    case: str
    launch: Work
    moved: int
    result: Callable[[], Tensor]
    expected: Callable[[], Tensor]
    operations: int = 0
    formulations: dict[str, Work] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


# ---- tensors


def noise(place: Place, *shape: int, scale: float = 1.0) -> Tensor:
    """Normal noise in FP16: what both kernels and references are given."""
    return torch.randn(shape, device=place.device).mul_(scale).half()


def smooth(place: Place, channels: int, h: int, w: int, scale: float) -> Tensor:
    """FP32 [1,channels,h,w] without detail, as flow is."""
    coarse = torch.randn(1, channels, 9, 16, device=place.device) * scale
    return F.interpolate(coarse, size=(h, w), mode="bicubic", align_corners=False).contiguous()


def stored(x: Tensor, form: int) -> Tensor:
    """[N,C,H,W] as it lies in memory in a format."""
    if form != HWC8:
        return x.to(torch.float16 if form == HALF else torch.float32).contiguous()
    n, c, h, w = x.shape
    out = torch.full((n, h, w, padded(c)), float("nan"), dtype=torch.float16, device=x.device)
    out[..., :c] = x.permute(0, 2, 3, 1)
    return out


def room(place: Place, form: int, n: int, c: int, h: int, w: int) -> Tensor:
    """A tensor for a result, full of NaN."""
    shape = (n, h, w, padded(c)) if form == HWC8 else (n, c, h, w)
    return torch.full(shape, float("nan"), dtype=kind(form), device=place.device)


def planes(y: Tensor, form: int, channels: int) -> Tensor:
    """What lies in memory in a format as [N,C,H,W]."""
    return y[..., :channels].permute(0, 3, 1, 2) if form == HWC8 else y


def kind(form: int) -> torch.dtype:
    """Type of the elements in a format."""
    return torch.float32 if form == FLOAT else torch.float16


def padded(channels: int) -> int:
    """Channels in memory in HWC8."""
    return -(-channels // GROUP) * GROUP


def bytes_of(*tensors: Tensor) -> int:
    """What tensors take in memory."""
    return sum(t.numel() * t.element_size() for t in tensors)


def _both_types(work: Callable[..., Tensor], features: tuple[Tensor, ...], rest: tuple[Tensor, ...]) -> dict[str, Work]:
    """What torch does with features in FP16 and in FP32."""
    wide = tuple(x.float() for x in features)
    return {"torch FP16": lambda: work(*features, *rest), "torch FP32": lambda: work(*wide, *rest)}


# ---- one builder an op: (place, format, *sizes) → Workload


def _backward_warp(place: Place, form: int, c: int, h: int, w: int) -> Workload:
    x, flow = noise(place, 1, c, h, w), smooth(place, 2, h, w, 8.0)
    given, y = stored(x, form), room(place, form, 1, c, h, w)
    grid = formulations.grid_of(flow).half()
    others = _both_types(formulations.warp, (x,), (flow,))
    others["grid_sample FP16, grid given"] = lambda: formulations.sample(x, grid)
    return Workload(
        f"C {c}, {h}x{w}",
        place.kernel("backward_warp", form, FLOAT, 1, c, h, w, 0, given, flow, y),
        bytes_of(given, flow, y),
        lambda: planes(y, form, c),
        lambda: backward_warp(x.float(), flow),
        formulations=others,
    )


def _warp_resize(place: Place, form: int, c: int, shrink: int, h: int, w: int) -> Workload:
    h, w = h - h % shrink, w - w % shrink  # the emulator's images are small ones of any size
    x, flow = noise(place, 1, c, h, w), smooth(place, 2, h, w, 8.0)
    given, y = stored(x, form), room(place, form, 1, c, h // shrink, w // shrink)
    grid = formulations.middle_grid_of(flow, shrink).half()
    others = _both_types(lambda x, flow: formulations.warp_resize(x, flow, shrink), (x,), (flow,))
    others["grid_sample FP16, only what counts"] = lambda: formulations.mean_of_samples(
        x, formulations.middle_grid_of(flow, shrink)
    )
    others["grid_sample FP16, only what counts, grid given"] = lambda: formulations.mean_of_samples(x, grid)
    # Of a cell's pixels, four of the flow and the three by three that samples of a smooth flow lie between.
    read = 4 * bytes_of(flow) + min(shrink**2, 9) * bytes_of(given)
    return Workload(
        f"C {c}, {h}x{w} by {shrink}",
        place.kernel("warp_resize", form, FLOAT, 1, c, h, w, shrink, given, flow, y),
        read // shrink**2 + bytes_of(y),
        lambda: planes(y, form, c),
        lambda: warp_resize(x.float(), flow, shrink),
        formulations=others,
    )


def _warp_concat(place: Place, form: int, c: int, h: int, w: int) -> Workload:
    features = tuple(noise(place, 1, c, h, w) for _ in range(3))
    flows = smooth(place, 4, h, w, 4.0), smooth(place, 4, h // 2, w // 2, 2.0)
    given = [stored(x, form) for x in features]
    seen, flow = room(place, form, 1, 3 * c + 4, h, w), torch.empty(1, 4, h, w, device=place.device)
    return Workload(
        f"C {c}, {h}x{w}",
        place.kernel("warp_concat", form, FLOAT, 1, c, h, w, c, 1, *given, *flows, seen, flow),
        bytes_of(*given, *flows, seen, flow),
        lambda: planes(seen, form, 3 * c + 4),
        lambda: warp_concat(*(x.float() for x in features), *flows)[0],
        formulations=_both_types(formulations.warp_concat, features, flows),
    )


def _warp_blend(place: Place, form: int, h: int, w: int) -> Workload:
    frames = tuple(torch.rand(1, 3, h, w, device=place.device).half() for _ in range(2))
    flows = tuple(smooth(place, 2, h, w, 8.0) for _ in range(2))
    ends = torch.rand(1, 1, h, w, device=place.device).half(), noise(place, 1, 3, h, w, scale=0.05)
    given, y = [stored(x, form) for x in frames], room(place, form, 1, 3, h, w)
    tail = [x.to(kind(form)) for x in ends]
    wide = tuple(x.float() for x in (*frames, *ends))
    return Workload(
        f"{h}x{w}",
        place.kernel("warp_blend", form, FLOAT, 1, h, w, *given, *flows, *tail, 1, 3, h, w, y),
        bytes_of(*given, *flows, *tail, y),
        lambda: planes(y, form, 3),
        lambda: warp_blend(*wide[:2], *flows, *wide[2:]),
        formulations={
            "torch FP16": lambda: formulations.warp_blend(*frames, *flows, *ends),
            "torch FP32": lambda: formulations.warp_blend(*wide[:2], *flows, *wide[2:]),
        },
    )


def _merge(place: Place, form: int, h: int, w: int) -> Workload:
    frames = [torch.randint(0, 256, (1, h, w, 3), dtype=torch.uint8, device=place.device) for _ in range(2)]
    parts = smooth(place, 4, h, w, 8.0), noise(place, 1, 1, h, w), noise(place, 1, 3, h, w, scale=0.05)
    refined = torch.cat([p.half() for p in parts], dim=1)
    given, out = stored(refined, form), torch.zeros_like(frames[0])
    pitch = 3 * w
    return Workload(
        f"{h}x{w}",
        place.kernel("merge", form, 0, 1, h, w, h, w, 0, 0, pitch, pitch, pitch, *frames, given, out),
        bytes_of(*frames, given, out),
        lambda: out,
        lambda: merge_frames(*frames, refined.float()),
        formulations={"torch FP32, from and to bytes": lambda: merge_frames(*frames, refined)},
    )


def _forward_splat(place: Place, form: int, c: int, h: int, w: int) -> Workload:
    x, flow = noise(place, 1, c, h, w), smooth(place, 2, h, w, 8.0)
    given, y = stored(x, form), room(place, form, 1, c, h, w)
    sums = torch.empty(1, h, w, c + 1, device=place.device)
    return Workload(
        f"C {c}, {h}x{w}",
        place.kernel("forward_splat", form, FLOAT, 1, c, h, w, given, flow, y, sums),
        # The sums are cleared, read and written while pixels land, and read for the average.
        bytes_of(given, flow, y) + 4 * bytes_of(sums),
        lambda: planes(y, form, c),
        lambda: forward_splat(x.float(), flow),
        formulations={"torch scatter_add FP32": lambda: forward_splat(x, flow)},
    )


def _correlation_lookup(place: Place, form: int, h: int, w: int, level: int, radius: int) -> Workload:
    map_h, map_w = (max(1, side >> level) for side in (h, w))
    corr = noise(place, h * w, 1, map_h, map_w)
    rows, columns = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    coords = (smooth(place, 2, h, w, 4.0) + torch.stack((columns, rows))[None].to(place.device)) / 2**level
    samples = (2 * radius + 1) ** 2
    given, y, wide = corr.to(kind(form)), room(place, form, 1, samples, h, w), corr.float()
    windows = h * w * (2 * radius + 2) ** 2 * given.element_size()
    return Workload(
        f"radius {radius}, {h}x{w} queries, maps {map_h}x{map_w}",
        place.kernel("correlation_lookup", form, FLOAT, 1, h, w, map_h, map_w, radius, given, coords, y),
        windows + bytes_of(coords, y),
        lambda: planes(y, form, samples),
        lambda: correlation_lookup(corr, coords, radius),
        formulations={"torch grid_sample FP32": lambda: correlation_lookup(wide, coords, radius)},
    )


def _deform_conv2d(place: Place, form: int, c: int, groups: int, h: int, w: int) -> Workload:
    x, weight, bias = noise(place, 1, c, h, w), noise(place, c, c, 3, 3, scale=(9 * c) ** -0.5), noise(place, c)
    offset, mask = smooth(place, 18 * groups, h, w, 2.0).half(), noise(place, 1, 9 * groups, h, w).sigmoid()
    given, y = stored(x, form), room(place, form, 1, c, h, w)
    taps = offset.to(kind(form)), mask.to(kind(form))
    ends = weight.to(kind(form)), bias.to(kind(form))
    workspace = torch.empty(_deform_workspace(form, c, groups), dtype=torch.uint8, device=place.device)
    sizes = (1, c, h, w, groups, c)
    room_of = (workspace if workspace.numel() else None, workspace.numel())
    wide = tuple(v.float() for v in (x, offset, mask, weight, bias))
    # Positions stay FP32, as FP16 cannot tell neighbours apart on wide maps; samples and product are FP16.
    others: dict[str, Work] = {
        "torch columns FP16": lambda: formulations.deform_by_columns(x, wide[1], mask, weight, bias)
    }
    if formulations.has_torchvision():
        others["torchvision FP16"] = lambda: formulations.deform_by_torchvision(x, offset, mask, weight, bias)
    return Workload(
        f"C {c}, {groups} groups, {h}x{w}",
        place.kernel("deform_conv2d", form, *(linear(form),) * 2, *sizes, given, *taps, *ends, y, *room_of),
        bytes_of(given, *taps, *ends, y),
        lambda: planes(y, form, c),
        lambda: formulations.deform_by_columns(*wide),
        operations=2 * 9 * c * c * h * w,
        formulations=others,
    )


def linear(form: int) -> int:
    """The format of planes in the type of `form`."""
    return FLOAT if form == FLOAT else HALF


def _deform_workspace(form: int, channels: int, groups: int) -> int:
    """Bytes that DeformConv2d asks for; its launcher checks them."""
    of_group = channels // groups
    if form != HWC8 or (groups > 1 and of_group % GROUP != 0):
        return 0
    block = 128 if channels > 64 else 64
    columns = -(-channels // block) * block
    return (groups * -(-9 * padded(of_group) // 32) * 32 * 2 + 8) * columns


# ---- sizes

_LEVELS = ((72, 90, 160), (48, 180, 320), (32, 360, 640)), ((72, 136, 240), (48, 272, 480), (32, 544, 960))
_FRAMES = ((720, 1280),), ((1088, 1920),)
_IFRNET_LARGE = ((64, 360, 640),), ((64, 544, 960),)

BUILDERS: dict[str, Callable[..., Workload]] = {
    "backward_warp": _backward_warp,
    "warp_resize": _warp_resize,
    "warp_concat": _warp_concat,
    "warp_blend": _warp_blend,
    "merge": _merge,
    "forward_splat": _forward_splat,
    "correlation_lookup": _correlation_lookup,
    "deform_conv2d": _deform_conv2d,
}
# Those of 720p, in all formats; those of 1080p, in HWC8.
SIZES: dict[str, tuple[tuple[Sizes, ...], tuple[Sizes, ...]]] = {
    "backward_warp": (
        ((3, 720, 1280), *_LEVELS[0], *_IFRNET_LARGE[0]),
        ((3, 1088, 1920), *_LEVELS[1], *_IFRNET_LARGE[1]),
    ),
    "warp_resize": (
        ((7, 8, 768, 1280), (7, 4, 768, 1280)),  # of RIFE 4.25: a frame and its features
        ((7, 8, 1088, 1920), (7, 4, 1088, 1920)),
    ),
    "warp_concat": (_LEVELS[0] + _IFRNET_LARGE[0], _LEVELS[1] + _IFRNET_LARGE[1]),
    "warp_blend": _FRAMES,
    # 1080p moves less than the L2 cache of large GPUs holds.
    "merge": (_FRAMES[0], (*_FRAMES[1], (2160, 3840))),
    "forward_splat": (((3, 720, 1280), (64, 180, 320)), ((3, 1088, 1920), (64, 272, 480))),
    "correlation_lookup": (((90, 160, 0, 4), (90, 160, 2, 4), (90, 160, 0, 3)), ((136, 240, 0, 4),)),
    "deform_conv2d": (
        ((128, 8, 90, 160), (128, 8, 180, 320), (128, 8, 360, 640), (64, 1, 180, 320), (64, 1, 360, 640)),
        ((128, 8, 135, 240), (128, 8, 270, 480), (128, 8, 540, 960)),
    ),
}
# No multiple of any tile, for the checkers of memory and races.
SMALL: dict[str, Sizes] = {
    "backward_warp": (12, 18, 22),
    "warp_resize": (12, 4, 36, 44),
    "warp_concat": (12, 18, 22),
    "warp_blend": (18, 34),
    "merge": (11, 37),
    "forward_splat": (12, 18, 22),
    "correlation_lookup": (6, 7, 1, 4),
    "deform_conv2d": (32, 2, 11, 18),
}
# Which of an op's sizes are rows and columns.
_IMAGE = {
    "warp_resize": (2, 3),
    "warp_blend": (0, 1),
    "merge": (0, 1),
    "correlation_lookup": (0, 1),
    "deform_conv2d": (2, 3),
}


def build(place: Place, op: str, form: int, sizes: Sizes) -> Workload:
    """The workload of an op; on the emulator with a small image."""
    torch.manual_seed(1)
    image = _IMAGE.get(op, (1, 2))
    shrunk = tuple(place.side(v) if k in image else v for k, v in enumerate(sizes))
    return BUILDERS[op](place, form, *shrunk)


def plan(op: str) -> Iterator[tuple[int, Sizes]]:
    """Formats and sizes in which an op is measured: HWC8 first."""
    usual, large = SIZES[op]
    yield from ((HWC8, sizes) for sizes in (*usual, *large))
    yield from ((form, sizes) for form in (HALF, FLOAT) for sizes in usual)
