"""IFRNet beyond what every network is checked for: cut and whole agree, and the variants are the base's kin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from support import golden
from torch import Tensor

from tweenrt.contract import FrameIO, Kind
from tweenrt.export import registry
from tweenrt.export.checkpoint import load_random, random_state
from tweenrt.export.exporter import SPLIT, export
from tweenrt.export.options import ExportOptions
from tweenrt.export.uint8 import FramePadding, to_uint8, uint8_part
from tweenrt.runtime.interpolator import Interpolator

TIMES = (0.25, 0.5, 0.75)
ODD = (101, 157)
ODD_PADDED = (112, 160)
SAME_SUMS = 1e-4  # the same network run twice; docs/tolerances.md


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """ifrnet-s whole and cut, for every size, whole for one size, and whole with uint8 frames of every size."""
    folder = tmp_path_factory.mktemp("ifrnet")
    loaded = load_random(registry.get("ifrnet-s"), 3)
    wanted = {
        "pair": ExportOptions(),
        "split": ExportOptions(kinds=SPLIT),
        "static": ExportOptions(size=ODD_PADDED, batch=1),
        "uint8": ExportOptions(io=FrameIO.UINT8),
    }
    paths = {name: folder / (name if name == "split" else f"{name}.onnx") for name in wanted}
    for name, options in wanted.items():
        export(loaded, options, paths[name])
    return paths


def _drawn(graph: Path) -> np.ndarray:
    frame0, frame1 = (f[0].numpy() for f in golden.example(2, *ODD))
    with Interpolator.open(graph, threads=2) as interpolator:
        return np.stack(interpolator.between(frame0, frame1, TIMES))


def test_cut_and_static_graphs_draw_what_the_whole_draws(graphs: dict[str, Path]) -> None:
    whole = _drawn(graphs["pair"])
    assert whole.shape == (3, 3, *ODD)
    assert np.abs(whole[0] - whole[2]).max() > 100 * SAME_SUMS, "t changes nothing, so nothing is proven"
    for other in ("split", "static"):
        np.testing.assert_allclose(_drawn(graphs[other]), whole, rtol=0, atol=SAME_SUMS)


def test_a_graph_pads_as_the_runtime_does(graphs: dict[str, Path]) -> None:
    """Frames of another size than the one that was traced, odd, with an uneven margin on both sides."""
    frames = [np.rint(f[0].numpy() * 255).astype(np.uint8) for f in golden.example(2, *ODD)]
    drawn = []
    for name in ("pair", "uint8"):
        with Interpolator.open(graphs[name], threads=2) as interpolator:
            drawn.append(interpolator.between(*frames, [0.25])[0].astype(int))
    assert np.abs(drawn[0] - drawn[1]).max() <= 1, "more than a rounding apart"


def test_every_level_is_one_op(graphs: dict[str, Path]) -> None:
    """The form that a level's kernel takes the place of, and nothing scattered into slices."""
    for name in ("pair", "static", "split/synthesis", "uint8"):
        graph = onnx.load(graphs["pair"].parent / f"{name}.onnx").graph
        ops = [node.op_type for node in graph.node]
        assert (ops.count("WarpConcat"), ops.count("WarpBlend")) == (3, 1)
        assert not set(ops) & {"BackwardWarp", "ScatterND", "ScatterElements", "GridSample"}


def _base_and_distance_variant() -> tuple[dict[str, Tensor], torch.nn.Module, torch.nn.Module]:
    base, variant = (registry.get(name).build().eval() for name in ("ifrnet", "ifrnet-d"))
    state = random_state(base.state_dict(), 5)
    base.load_state_dict(state)
    variant.load_state_dict(state)
    return state, base, variant


def test_even_distances_are_t_on_bgr_frames() -> None:
    """The [D] variant has the base's layers, sees BGR, and with one distance everywhere it is the base."""
    _, base, variant = _base_and_distance_variant()
    frames = golden.example()
    with torch.no_grad():
        expected = base(frames[0].flip(1), frames[1].flip(1), torch.full((1, 1, 1, 1), 0.3)).flip(1)
        got = variant(*frames, torch.full((1, 1, *frames[0].shape[2:]), 0.3))
    torch.testing.assert_close(got, expected, rtol=0, atol=2e-5)


def test_distances_act_where_they_differ() -> None:
    _, _, variant = _base_and_distance_variant()
    frames = golden.example(2, 128, 512)
    left = torch.full((1, 1, 128, 512), 0.3)
    left[..., 352:] = 0.7
    with torch.no_grad():
        even, split = variant(*frames, torch.full_like(left, 0.3)), variant(*frames, left)
    change = (even - split).abs().amax(dim=(0, 1, 2))
    assert change[352:].max() > 1e-3
    assert change[:16].max() < 1e-6


def test_uint8_graphs_take_distances_of_the_frames_size() -> None:
    """Outside of the frame the distances go on as they are at its border, whatever fills the frame."""
    loaded = load_random(registry.get("ifrnet-d"), 5)
    size, padded = (97, 145), (112, 160)  # the widest margins: the last row of the coarsest level sees one
    frames = tuple((f * 255).round() / 255 for f in golden.example(2, *size))
    t = torch.full((1, 1, 1, 1), 0.3)
    part = uint8_part(loaded, Kind.PAIR, frames, t)
    example = part.example | {"t": t.expand_as(part.example["t"])}
    pad = FramePadding(loaded.spec.divisor, loaded.spec.padding)
    with torch.no_grad():
        got = part.module(*example.values())
        drawn = loaded.network(pad(frames[0]), pad(frames[1]), t.expand(1, 1, *padded))
    assert example["t"].shape == (1, 1, *size)
    assert (got.int() - to_uint8(drawn[pad.window(*size)]).int()).abs().max() <= 1, "more than a rounding apart"


def test_reference_enters_at_the_coarsest_level_only() -> None:
    """With zero weights on the reference's features and distances, the [D,R] variant is the [D] variant."""
    state, _, distance = _base_and_distance_variant()
    key = "decoder4.convblock.0.0.weight"
    pair, t = state[key].split((192, 1), dim=1)
    nothing = torch.zeros(192, 97, 3, 3)
    variant = registry.get("ifrnet-dr").build().eval()
    frames = golden.example(3)
    example = variant.part(Kind.PAIR, frames, torch.full((1, 1, 1, 1), 0.5)).example
    variant.load_state_dict(state | {key: torch.cat((pair, nothing[:, :96], t, nothing[:, 96:]), dim=1)})
    with torch.no_grad():
        expected = distance(example["frame0"], example["frame1"], example["t"])
        torch.testing.assert_close(variant(*example.values()), expected, rtol=0, atol=2e-5)
        variant.load_state_dict(state | {key: torch.cat((pair, nothing[:, :96] + 0.01, t, nothing[:, 96:]), dim=1)})
        assert (variant(*example.values()) - expected).abs().max() > 1e-3
