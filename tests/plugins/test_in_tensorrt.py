"""Our plugins in a real TensorRT builder: every op, type and size it takes, and what it says of those it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.engines import use_plugin_library, write_graph

from tweenrt.errors import BackendError, GraphError
from tweenrt.runtime.engines.builder import BuildOptions, Built, SizeRange, build_plan
from tweenrt.runtime.engines.tensorrt import Flavour

OPEN = SizeRange((16, 16), (32, 48), (64, 96), (1, 1, 2))

# Op → (inputs, outputs, attributes) with {t} for the type, and H, W, N where a size may be open.
OPS = {
    "BackwardWarp": ("{t}[N,12,H,W] x, float[N,2,H,W] flow", "{t}[N,12,H,W] y", '<padding = "zeros">'),
    "WarpConcat": (
        (
            "{t}[N,36,H,W] feature0, {t}[N,36,H,W] feature1, {t}[N,36,H,W] feature, float[N,4,H,W] step, "
            "float[N,4,H_2,W_2] coarse"
        ),
        "{t}[N,112,H,W] seen, float[N,4,H,W] flow",
        "<feature_first = 1>",
    ),
    "WarpBlend": (
        (
            "{t}[N,3,H,W] frame0, {t}[N,3,H,W] frame1, float[N,2,H,W] flow0, float[N,2,H,W] flow1, "
            "{t}[N,1,H,W] mask, {t}[N,3,H,W] residual"
        ),
        "{t}[N,3,H,W] frame_t",
        "",
    ),
    "DeformConv2d": (
        "{t}[N,16,H,W] x, {t}[N,36,H,W] offset, {t}[N,18,H,W] mask, {t}[24,16,3,3] weight, {t}[24] bias",
        "{t}[N,24,H,W] y",
        "<offset_group = 2>",
    ),
    "MaskTiles": ("{t}[N,1,H,W] mask", "int32[3,N,H_8,W_8] tiles", ""),
    "MaskedConv2d": (
        (
            "{t}[N,16,H,W] x, {t}[N,1,H,W] mask, {t}[24,16,3,3] weight, {t}[24] bias, {t}[24] slope, "
            "int32[3,N,H_8,W_8] tiles"
        ),
        "{t}[N,24,H,W] y",
        "",
    ),
    "ForwardSplat": ("{t}[N,6,H,W] x, float[N,2,H,W] flow", "{t}[N,6,H,W] y", ""),
    "WarpResize": ("{t}[N,7,H,W] x, float[N,2,H,W] flow", "{t}[N,7,H_4,W_4] y", "<shrink = 4>"),
    "CorrelationLookup": ("{t}[1536,1,8,12] corr, float[1,2,32,48] coords", "{t}[1,81,32,48] y", "<radius = 4>"),
}


def one_op(op: str, kind: str, sizes: dict[str, str]) -> str:
    """A graph of one node, in ONNX's text form; each output passes through a Neg."""
    inputs, outputs, attributes = (text.replace("{t}", kind) for text in OPS[op])
    for name, size in sizes.items():
        inputs, outputs = inputs.replace(name, size), outputs.replace(name, size)
    names = [part.split("] ")[1] for part in outputs.split(", ") if "] " in part]
    made = ", ".join(f"{name}_made" for name in names)
    given = ", ".join(part.split("] ")[1] for part in inputs.replace("], ", "] ,").split(", ") if "] " in part)
    ends = "\n".join(f"{name} = Neg ({name}_made)" for name in names)
    return f"g ({inputs}) => ({outputs}) {{ {made} = tweenrt.{op} {attributes} ({given})\n{ends} }}"


STATIC = {"H_2": "16", "W_2": "24", "H_4": "8", "W_4": "12", "H_8": "4", "W_8": "6", "N": "2", "H": "32", "W": "48"}


@pytest.fixture(autouse=True)
def _plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    use_plugin_library(monkeypatch)


def build(folder: Path, text: str, sizes: tuple[SizeRange, ...] = ()) -> Built:
    return build_plan(write_graph(folder, text), BuildOptions(Flavour.RTX, sizes, targets=("sm86",)))


def types(built: Built) -> set[str]:
    """Types that our layers see."""
    ours = [line for line in built.layers if "custom_layer" in line]
    return {kind for kind in ("Float", "Half") if any(f"Datatype: {kind}" in line for line in ours)}


@pytest.mark.parametrize("kind", ["float", "float16"])
@pytest.mark.parametrize("op", OPS)
def test_every_op_builds_in_both_types(op: str, kind: str, tmp_path: Path) -> None:
    built = build(tmp_path, one_op(op, kind, STATIC))
    assert built.plugin_nodes == {op: 1}
    assert sum("custom_layer" in line for line in built.layers) == 1
    assert ("Half" if kind == "float16" else "Float") in types(built)


@pytest.mark.parametrize("kind", ["float", "float16"])
@pytest.mark.parametrize("op", sorted(set(OPS) - {"CorrelationLookup"}))
def test_every_op_builds_with_open_sizes(op: str, kind: str, tmp_path: Path) -> None:
    built = build(tmp_path, one_op(op, kind, {}), (OPEN,))
    assert sum("custom_layer" in line for line in built.layers) == 1


@pytest.mark.parametrize("open_sizes", [False, True])
def test_layers_share_a_list_of_tiles_that_the_image_does_not_fill(open_sizes: bool, tmp_path: Path) -> None:
    text = (
        "g (float[N,8,H,W] x, float[N,1,H,W] mask, float[8,8,3,3] weight, float[8] bias, float[8] slope) => "
        "(float[N,8,H,W] y) {\n tiles = tweenrt.MaskTiles (mask)\n"
        " once = tweenrt.MaskedConv2d (x, mask, weight, bias, slope, tiles)\n"
        " twice = tweenrt.MaskedConv2d (once, mask, weight, bias, slope, tiles)\n y = Neg (twice) }"
    )
    if not open_sizes:
        text = text.replace("[N,", "[2,").replace(",H,W]", ",33,41]")
    sizes = (SizeRange((13, 17), (33, 41), (64, 97), (1, 1, 2)),) if open_sizes else ()
    assert build(tmp_path, text, sizes).plugin_nodes == {"MaskTiles": 1, "MaskedConv2d": 2}


@pytest.mark.parametrize("open_sizes", [False, True])
@pytest.mark.parametrize("side", [4, 2])
def test_the_output_of_warp_resize_is_as_many_times_smaller_as_shrink_says(
    side: int, open_sizes: bool, tmp_path: Path
) -> None:
    # Only sizes that fit can be added, and TensorRT checks open ones at the profile's.
    text = (
        f"g (float[N,7,H,W] x, float[N,2,H,W] flow, float[N,7,H_{side},W_{side}] small) => "
        f"(float[N,7,H_{side},W_{side}] y) {{\n"
        " made = tweenrt.WarpResize <shrink = 4> (x, flow)\n y = Add (made, small) }"
    )
    for name, size in {} if open_sizes else STATIC.items():
        text = text.replace(f"[{name},", f"[{size},").replace(f",{name}", f",{size}")
    sizes = (OPEN,) if open_sizes else ()
    if side == 4:
        assert build(tmp_path, text, sizes).plugin_nodes == {"WarpResize": 1}
    else:
        with pytest.raises((GraphError, BackendError), match=r"must be conformable|16 != 8"):
            build(tmp_path, text, sizes)


BROKEN = [
    ("BackwardWarp", ("float[2,12", "int32[2,12"), r"BackwardWarp: got x int32, flow float32; it takes \(float16"),
    ("BackwardWarp", ("float[2,2,", "float[2,3,"), r"BackwardWarp: flow must be \[N,2,H,W\], got \[2,3,32,48\]"),
    ("BackwardWarp", ("zeros", "mirror"), r'padding must be "border" or "zeros", got "mirror"'),
    (
        "WarpConcat",
        ("16,24] coarse", "16,23] coarse"),
        "WarpConcat: coarse must have half the size of step along W, got 23 for 48",
    ),
    ("WarpConcat", ("= 1>", "= 2>"), r"feature_first must lie in 0\.\.1, got 2"),
    ("WarpBlend", ("float[2,1,32,48] mask", "float[2,2,32,48] mask"), "WarpBlend: mask must be"),
    ("DeformConv2d", ("offset_group = 2", "offset_group = 3"), "DeformConv2d: "),
    (
        "MaskedConv2d",
        ("int32[3,2,4,6] tiles", "int32[3,2,4,5] tiles"),
        r"tiles must be \[3,N,ceil\(H/8\),ceil\(W/8\)\], got \[3,2,4,5\] .* W = 48",
    ),
    ("MaskTiles", ("float[2,1,32,48] mask", "float[2,2,32,48] mask"), r"mask must be \[N,1,H,W\], got \[2,2,32,48\]"),
    ("MaskedConv2d", ("float[24] slope", "float[23] slope"), r"slope must be \[D\], got \[23\].* D = 24"),
    ("CorrelationLookup", ("radius = 4", "radius = 40"), r"radius must lie in 0\.\.8, got 40"),
    ("CorrelationLookup", ("<radius = 4>", ""), "the attribute radius is missing"),
    ("ForwardSplat", ("(x, flow)", "(x)"), "ForwardSplat: expected the inputs x, flow, got 1"),
    ("WarpResize", ("= 4>", "= 3>"), "WarpResize: shrink must be even, got 3"),
    ("WarpResize", ("= 4>", "= 0>"), r"shrink must lie in 2\.\.2147483647, got 0"),
    ("WarpResize", ("<shrink = 4>", ""), "the attribute shrink is missing"),
    ("WarpResize", ("32,48]", "30,48]"), "WarpResize: x must have a multiple of shrink = 4 pixels along H, got 30"),
    ("WarpResize", ("32,48]", "32,46]"), "WarpResize: x must have a multiple of shrink = 4 pixels along W, got 46"),
    ("WarpResize", ("float[2,2,32", "float[2,2,28"), r"flow must be \[N,2,H,W\], got \[2,2,28,48\] .* H = 32"),
]


@pytest.mark.parametrize(("op", "change", "says"), BROKEN, ids=lambda v: v[1] if isinstance(v, tuple) else None)
def test_what_an_op_cannot_take_is_said_plainly(op: str, change: tuple[str, str], says: str, tmp_path: Path) -> None:
    text = one_op(op, "float", STATIC)
    assert change[0] in text
    with pytest.raises((GraphError, BackendError), match=says):
        build(tmp_path, text.replace(*change))
