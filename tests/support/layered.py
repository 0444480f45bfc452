"""A graph whose nodes are named after modules, with a warp, and large enough that its times can be told apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper, parser

from support import graphs
from tweenrt.contract import GraphInfo

NAMES = ("coarse.body/conv2d", "coarse.body/leaky_relu", "fine.body.0/conv2d_1", "fine.body.1/prelu", "blend/Blend")


def layered(path: Path, info: GraphInfo = graphs.INFO) -> Path:
    """Two convolutions of 16 and 3 channels, each with an activation, and a blend by an op of ours."""
    model = parser.parse_model(f"""{graphs.HEAD}
        layered (float[N,3,H,W] frame0, float[N,3,H,W] frame1, float[N,1,1,1] t) => (float[N,3,H,W] frame_t)
        {{
            conv2d = Conv <pads = [1, 1, 1, 1]> (frame0, weight0)
            leaky_relu = LeakyRelu <alpha = 0.2> (conv2d)
            conv2d_1 = Conv <pads = [1, 1, 1, 1]> (leaky_relu, weight1)
            prelu = PRelu (conv2d_1, slope)
            frame_t = tweenrt.Blend (prelu, frame1, t, gain)
        }} {graphs._BLEND}""")
    for node, name in zip(model.graph.node, NAMES, strict=True):
        node.name = name
    rng = np.random.default_rng(0)
    shapes = {"weight0": (16, 3, 3, 3), "weight1": (3, 16, 3, 3), "slope": (3, 1, 1), "gain": (1,)}
    for name, shape in shapes.items():
        value = rng.standard_normal(shape).astype(np.float32) / 10
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    onnx.checker.check_model(model)
    return graphs.save_model(path, model, info)
