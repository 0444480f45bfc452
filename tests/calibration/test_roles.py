"""What the numbers of a node stand for: from where they end and from where they come."""

from __future__ import annotations

from support import mixed
from support.mixed import graph, of, roles

from tweenrt.calibration.roles import Role

FRAMES = "float[1,3,16,16] frame0, float[1,3,16,16] frame1, float[1,1,1,1] t"
OUT = "float[1,3,16,16] frame_t"
BLEND = 'warped = tweenrt.BackwardWarp <padding = "border"> (frame0, flow) frame_t = Add (warped, residual)'
HEAD = "made = Conv <pads = [1, 1, 1, 1]> (frame0, w) flow, residual = Split <axis = 1> (made, cut)"
WEIGHTS = {"w": mixed.np.ones((5, 3, 3, 3), "f4"), "cut": mixed.np.array([2, 3])}


def found(nodes: str, inputs: str = FRAMES, outputs: str = OUT, **weights: object) -> dict[str, Role]:
    return roles(graph(f"g ({inputs}) => ({outputs}) {{ {nodes} }}", **(WEIGHTS | weights)))


def test_a_layer_ends_the_flow_that_it_made() -> None:
    its = found(f"{HEAD} {BLEND}")
    assert its["made"] is Role.FEATURE
    assert its["warped"] is its["frame_t"] is Role.BLEND


def test_flow_is_followed_through_what_scales_resizes_and_adds_it() -> None:
    its = found(f"""
        low = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (frame0, w2)
        active = PRelu (low, slope)
        large = Resize <mode = "linear"> (active, , scales)
        doubled = Mul (large, two)
        step = Conv <pads = [1, 1, 1, 1]> (frame1, w2)
        flow = Add (doubled, step)
        residual = Conv <pads = [1, 1, 1, 1]> (frame1, w3)
        {BLEND}""",
        w2=mixed.np.ones((2, 3, 3, 3), "f4"), w3=mixed.np.ones((3, 3, 3, 3), "f4"), two=2.0,
        scales=mixed.np.array([1, 1, 2, 2], "f4"), slope=[0.5],
    )  # fmt: skip
    assert of(Role.FLOW, its) == {"large", "doubled", "flow"}
    assert {"low", "active", "step", "residual"} <= of(Role.FEATURE, its)


def test_flow_that_a_layer_reads_stays_flow_until_it_meets_features() -> None:
    its = found(f"""{HEAD}
        small = Resize <mode = "linear"> (flow, , scales)
        scaled = Div (small, two)
        other = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (frame1, w)
        seen = Concat <axis = 1> (scaled, other)
        deeper = Conv <pads = [1, 1, 1, 1]> (seen, w7)
        large = Resize <mode = "linear"> (deeper, , grow)
        bent = Tanh (large)
        residual2 = Add (residual, bent)
        warped = tweenrt.BackwardWarp <padding = "border"> (frame0, flow)
        frame_t = Add (warped, residual2)""",
        scales=mixed.np.array([1, 1, 0.5, 0.5], "f4"), grow=mixed.np.array([1, 1, 2, 2], "f4"), two=2.0,
        w7=mixed.np.ones((3, 7, 3, 3), "f4"),
    )  # fmt: skip
    assert of(Role.FLOW, its) == {"flow", "small", "scaled"}
    assert {"seen", "deeper"} <= of(Role.FEATURE, its)
    assert {"large", "bent", "residual2"} <= of(Role.BLEND, its)


def test_a_mixture_of_flow_and_features_is_features_until_it_is_cut() -> None:
    its = found("""
        low = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (frame0, w)
        large = Resize <mode = "linear"> (low, , scales)
        flow, feature = Split <axis = 1> (large, cut)
        warped = tweenrt.BackwardWarp <padding = "border"> (feature, flow)
        frame_t = Conv <pads = [1, 1, 1, 1]> (warped, w3)""",
        scales=mixed.np.array([1, 1, 2, 2], "f4"), w3=mixed.np.ones((3, 3, 3, 3), "f4"),
    )  # fmt: skip
    assert of(Role.FLOW, its) == set()
    assert its["large"] is Role.FEATURE


def test_a_warp_of_features_is_features_and_one_of_flow_is_flow() -> None:
    its = found(f"""{HEAD}
        feature = Conv <pads = [1, 1, 1, 1]> (frame1, w)
        moved = tweenrt.BackwardWarp <padding = "border"> (feature, flow)
        step = Conv <pads = [1, 1, 1, 1]> (moved, w2)
        carried = tweenrt.ForwardSplat (step, flow)
        flow2 = Add (flow, carried)
        warped = tweenrt.BackwardWarp <padding = "border"> (frame0, flow2)
        frame_t = Add (warped, residual)""", w2=mixed.np.ones((2, 5, 3, 3), "f4"),
    )  # fmt: skip
    assert of(Role.FLOW, its) == {"flow", "carried", "flow2"}
    assert its["moved"] is Role.FEATURE


def test_coordinates_of_lookups_and_offsets_of_deformable_convolutions() -> None:
    its = roles(graph("""
        g (float[1,4,8,8] frame0, float[64,1,8,8] corr) => (float[1,9,8,8] y, float[1,4,8,8] z) {
            step = Conv <pads = [1, 1, 1, 1]> (frame0, w2)
            coords = Add (step, grid)
            y = tweenrt.CorrelationLookup <radius = 1> (corr, coords)
            offset = Conv <pads = [1, 1, 1, 1]> (frame0, w18)
            clipped = Clip (offset, low, high)
            logits = Conv <pads = [1, 1, 1, 1]> (frame0, w9)
            mask = Sigmoid (logits)
            z = tweenrt.DeformConv2d (frame0, clipped, mask, weight, bias) }""", opset=19,
        w2=mixed.np.ones((2, 4, 3, 3), "f4"), grid=mixed.np.ones((1, 2, 8, 8), "f4"), low=-9.0, high=9.0,
        w18=mixed.np.ones((18, 4, 3, 3), "f4"), w9=mixed.np.ones((9, 4, 3, 3), "f4"),
        weight=mixed.np.ones((4, 4, 3, 3), "f4"), bias=mixed.np.ones(4, "f4"),
    ))  # fmt: skip
    assert of(Role.COORDINATES, its) == {"coords", "clipped"}
    assert {"mask", "y", "z"} <= of(Role.FEATURE, its)


def test_means_and_what_normalises_with_them_are_statistics() -> None:
    its = found(f"""
        feature = Conv <pads = [1, 1, 1, 1]> (frame0, w)
        rows = ReduceMean (feature, row_axis)
        mean = ReduceMean (rows, column_axis)
        centred = Sub (feature, mean)
        square = Mul (centred, centred)
        variance = ReduceMean (square, both)
        safe = Add (variance, epsilon)
        root = Sqrt (safe)
        scale = Reciprocal (root)
        normal = Mul (centred, scale)
        active = Relu (normal)
        made = Conv <pads = [1, 1, 1, 1]> (active, w5)
        flow, residual = Split <axis = 1> (made, cut)
        {BLEND}""",
        row_axis=mixed.np.array([3]), column_axis=mixed.np.array([2]), both=mixed.np.array([2, 3]), epsilon=1e-5,
        w5=mixed.np.ones((5, 5, 3, 3), "f4"),
    )  # fmt: skip
    expected = {"rows", "mean", "centred", "square", "variance", "safe", "root", "scale", "normal"}
    assert of(Role.STATISTICS, its) == expected
    assert its["active"] is Role.FEATURE


def test_attention_by_a_mean_is_features_again_after_its_layer() -> None:
    its = found("""
        feature = Conv <pads = [1, 1, 1, 1]> (frame0, w)
        mean = ReduceMean (feature, both)
        gate = Conv (mean, w5)
        open = Sigmoid (gate)
        weighted = Mul (feature, open)
        summed = Add (feature, weighted)
        frame_t = Conv <pads = [1, 1, 1, 1]> (summed, w3)""",
        both=mixed.np.array([2, 3]), w5=mixed.np.ones((5, 5, 1, 1), "f4"), w3=mixed.np.ones((3, 5, 3, 3), "f4"),
    )  # fmt: skip
    assert of(Role.STATISTICS, its) == {"mean"}
    assert {"gate", "open", "weighted", "summed"} <= of(Role.FEATURE, its)


def test_frames_and_t_keep_their_role_until_a_layer_reads_them() -> None:
    its = found("""
        later = Sub (one, t)
        plane = Expand (later, size)
        small0 = Resize <mode = "linear"> (frame0, , scales)
        both = Concat <axis = 1> (small0, plane)
        feature = Conv <pads = [1, 1, 1, 1]> (both, w4)
        weighted = Mul (feature, t)
        large = Resize <mode = "linear"> (weighted, , grow)
        deeper = Conv <pads = [1, 1, 1, 1]> (large, w3)
        frame_t = Relu (deeper)""",
        one=1.0, size=mixed.np.array([1, 1, 8, 8]), scales=mixed.np.array([1, 1, 0.5, 0.5], "f4"),
        grow=mixed.np.array([1, 1, 2, 2], "f4"), w4=mixed.np.ones((5, 4, 3, 3), "f4"),
        w3=mixed.np.ones((3, 5, 3, 3), "f4"),
    )  # fmt: skip
    assert of(Role.TIME, its) == {"later", "plane"}
    assert of(Role.IMAGE, its) == {"small0", "both"}
    assert {"weighted", "large"} <= of(Role.FEATURE, its)


def test_what_is_compared_is_a_decision() -> None:
    its = found(f"""
        logits = Conv <pads = [1, 1, 1, 1]> (frame0, w2)
        yes, no = Split <axis = 1, num_outputs = 2> (logits)
        margin = Sub (yes, no)
        set = Greater (margin, threshold)
        mask = Cast <to = 1> (set)
        feature = Conv <pads = [1, 1, 1, 1]> (frame1, w)
        kept = Mul (feature, mask)
        made = Conv <pads = [1, 1, 1, 1]> (kept, w5)
        flow, residual = Split <axis = 1> (made, cut)
        {BLEND}""",
        w2=mixed.np.ones((2, 3, 3, 3), "f4"), threshold=[0.0], w5=mixed.np.ones((5, 5, 3, 3), "f4"),
    )  # fmt: skip
    assert of(Role.DECISION, its) == {"yes", "margin", "set"}
    assert {"mask", "kept"} <= of(Role.FEATURE, its)


def test_a_relu_of_flow_is_flow_and_one_of_features_is_not() -> None:
    its = found(f"""{HEAD}
        outside = Neg (flow)
        missing = Relu (outside)
        there = Sub (one, missing)
        inside = GreaterOrEqual (there, most)
        mask = Cast <to = 1> (inside)
        feature = Conv <pads = [1, 1, 1, 1]> (frame1, w2)
        active = Relu (feature)
        residual2 = Mul (active, mask)
        deeper = Conv <pads = [1, 1, 1, 1]> (residual2, w3)
        residual3 = Add (residual, deeper)
        {BLEND.replace("residual", "residual3")}""",
        one=1.0, most=0.9999, w2=mixed.np.ones((2, 3, 3, 3), "f4"), w3=mixed.np.ones((3, 2, 3, 3), "f4"),
    )  # fmt: skip
    assert its["missing"] is Role.FLOW
    assert its["there"] is its["inside"] is Role.DECISION
    assert its["active"] is Role.FEATURE


def test_inputs_and_outputs_of_the_other_graph_kinds() -> None:
    its = roles(graph("""
        g (float[1,2,8,8] flow_0_1, float[1,4,8,8] feature0_0) => (float[1,2,8,8] flow_1_0, float[1,4,8,8] feature_0) {
            doubled = Mul (flow_0_1, two)
            learned = Conv (feature0_0, w)
            flow_1_0 = Add (doubled, learned)
            feature_0 = Add (feature0_0, feature0_0) }""", two=2.0, w=mixed.np.ones((2, 4, 1, 1), "f4"),
    ))  # fmt: skip
    assert of(Role.FLOW, its) == {"doubled", "flow_1_0"}
    assert its["feature_0"] is Role.FEATURE


def test_sizes_have_no_precision() -> None:
    its = roles(graph("g (float[1,4,8,8] x) => (int64[4] n) { size = Shape (x) n = Add (size, size) }"))
    assert set(its.values()) == {Role.INDEX}


def test_every_role_has_words() -> None:
    assert len({role.words for role in Role}) == len(Role)
