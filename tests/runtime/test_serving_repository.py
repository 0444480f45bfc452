"""Model repositories: Triton's schema takes them, and the graphs in them are what their configuration says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from support import graphs

from tweenrt.contract import FrameIO, GraphInfo, Kind, Reuse
from tweenrt.errors import EngineError, GraphError, OutputError, UsageError
from tweenrt.runtime.engines import engine_file
from tweenrt.runtime.engines.engine_file import EngineInfo
from tweenrt.runtime.serving.config import ServingOptions
from tweenrt.runtime.serving.graphs import models_of
from tweenrt.runtime.serving.repository import write_repository

kserve = pytest.importorskip("support.kserve", reason="needs the extra triton", exc_type=ImportError)

DEFAULT = ServingOptions()
PICTURE = [3, -1, -1]
SHAPES = [[[1, 3, 64, 96], [2, 3, 64, 96], [4, 3, 64, 96]], [[1, 3, 64, 96], [1, 3, 128, 96], [8, 3, 256, 96]]]
ENGINE = EngineInfo(
    graph=graphs.INFO.to_metadata(),
    graph_sha256="0",
    flavour="tensorrt",
    tensorrt="10.16.2",
    device="NVIDIA H200 (sm90)",
    inputs={"frame0": SHAPES, "frame1": SHAPES, "t": [[[1, 1, 1, 1], [2, 1, 1, 1], [4, 1, 1, 1]]] * 2},
)


def ports(listed: Any) -> dict[str, tuple[str, list[int]]]:
    return {port.name: (kserve._type(port), list(port.dims)) for port in listed}


def written(folder: Path, *sources: Path, options: ServingOptions = DEFAULT) -> list[Path]:
    return write_repository(folder, [model for source in sources for model in models_of(source)], options)


def engine(path: Path, info: EngineInfo = ENGINE) -> Path:
    path.write_bytes(engine_file.pack(info, b"a plan"))
    return path


def loads_as_declared(model: Path) -> None:
    """ONNX Runtime loads the newest version, and has the inputs and outputs that the configuration says."""
    config, file = kserve.read_config(model), max(model.glob("[0-9]*")) / "model.onnx"
    session = onnxruntime.InferenceSession(str(file))
    for listed, values in ((config.input, session.get_inputs()), (config.output, session.get_outputs())):
        assert [port.name for port in listed] == [value.name for value in values]
        for port, value in zip(listed, values, strict=True):
            axes = [-1 if isinstance(axis, str) else axis for axis in value.shape]
            assert kserve._shape(config, port) == axes
            assert {"FP32": "tensor(float)", "UINT8": "tensor(uint8)"}[kserve._type(port)] == value.type


def test_a_graph(tmp_path: Path) -> None:
    found = written(tmp_path / "repo", graphs.blend(tmp_path / "mix.onnx"))
    assert found == [tmp_path / "repo" / "mix" / "1"]
    config = kserve.read_config(tmp_path / "repo" / "mix")
    assert (config.name, config.backend, config.max_batch_size) == ("mix", "onnxruntime", 8)
    pictures = ("FP32", PICTURE)
    assert ports(config.input) == {"frame0": pictures, "frame1": pictures, "t": ("FP32", [1, 1, 1])}
    assert ports(config.output) == {"frame_t": pictures, "brightness": ("FP32", [3])}
    assert config.dynamic_batching.max_queue_delay_microseconds == 1000
    (group,) = config.instance_group
    assert (group.count, group.kind) == (1, type(group).Kind.KIND_AUTO)
    loads_as_declared(tmp_path / "repo" / "mix")


def test_the_parameters_are_the_graph_s_metadata(tmp_path: Path) -> None:
    path = graphs.blend(tmp_path / "mix.onnx")
    (model,) = models_of(path)
    written(tmp_path / "repo", path)
    config = kserve.read_config(tmp_path / "repo" / "mix")
    parameters = {name: value.string_value for name, value in config.parameters.items()}
    assert parameters == model.parameters
    assert GraphInfo.from_metadata(parameters, "") == graphs.INFO
    (other,) = models_of(graphs.blend(tmp_path / "mix.onnx", gain=0.5))
    assert other.parameters != model.parameters


def test_uint8_frames(tmp_path: Path) -> None:
    written(tmp_path / "repo", graphs.blend_bytes(tmp_path / "bytes.onnx"))
    config = kserve.read_config(tmp_path / "repo" / "bytes")
    assert ports(config.input)["frame0"] == ("UINT8", [-1, -1, 3])
    loads_as_declared(tmp_path / "repo" / "bytes")


def test_a_fixed_n_is_not_batched(tmp_path: Path) -> None:
    written(tmp_path / "repo", graphs.with_an_unknown_op(tmp_path / "one.onnx"))
    config = kserve.read_config(tmp_path / "repo" / "one")
    assert config.max_batch_size == 0
    assert not config.HasField("dynamic_batching")
    assert ports(config.input)["frame0"] == ("FP32", [1, 3, 8, 8])


def test_options_reach_the_configuration(tmp_path: Path) -> None:
    chosen = ServingOptions(max_batch=4, delay=250, instances=2, gpus=(0, 3))
    written(tmp_path / "repo", graphs.blend(tmp_path / "mix.onnx"), options=chosen)
    config = kserve.read_config(tmp_path / "repo" / "mix")
    assert (config.max_batch_size, config.dynamic_batching.max_queue_delay_microseconds) == (4, 250)
    (group,) = config.instance_group
    assert (group.count, list(group.gpus), group.kind) == (2, [0, 3], type(group).Kind.KIND_GPU)
    written(tmp_path / "single", graphs.blend(tmp_path / "mix.onnx"), options=ServingOptions(max_batch=1))
    single = kserve.read_config(tmp_path / "single" / "mix")
    assert (single.max_batch_size, single.HasField("dynamic_batching")) == (1, False)
    with pytest.raises(UsageError, match="of 1 or more"):
        ServingOptions(instances=0)


def test_an_encoder_and_its_synthesis_become_one_model(tmp_path: Path) -> None:
    found = written(tmp_path / "repo", graphs.blend_halves(tmp_path / "cut"))
    assert [path.parent.name for path in found] == ["cut-encoder", "cut-synthesis", "cut"]
    config = kserve.read_config(tmp_path / "repo" / "cut")
    assert (config.platform, config.max_batch_size) == ("ensemble", 8)
    assert set(ports(config.input)) == {"frame0", "frame1", "t"}
    first, second, last = config.ensemble_scheduling.step
    assert (dict(first.input_map), dict(first.output_map)) == ({"frame": "frame0"}, {"feature_0": "feature0_0"})
    assert (dict(second.input_map), dict(second.output_map)) == ({"frame": "frame1"}, {"feature_0": "feature1_0"})
    assert (last.model_name, last.model_version) == ("cut-synthesis", -1)
    whole = GraphInfo.from_metadata({k: v.string_value for k, v in config.parameters.items()}, "")
    assert (whole.kind, whole.pair_id, whole.reuse) == (Kind.PAIR, "", Reuse.NONE)
    for name in ("cut-encoder", "cut-synthesis"):
        loads_as_declared(tmp_path / "repo" / name)


def test_an_ensemble_draws_what_its_halves_draw(tmp_path: Path) -> None:
    written(tmp_path / "repo", graphs.blend_halves(tmp_path / "cut"), graphs.blend(tmp_path / "mix.onnx"))
    repository = kserve.Repository(tmp_path / "repo")
    rng = np.random.default_rng(0)
    feeds = {name: rng.random((2, 3, 32, 64), np.float32) for name in ("frame0", "frame1")}
    feeds["t"] = np.array([0.25, 0.5], np.float32).reshape(2, 1, 1, 1)
    cut, whole = (repository.infer(name, feeds)["frame_t"] for name in ("cut", "mix"))
    np.testing.assert_allclose(cut, whole, atol=1e-6)


def test_flow_and_refine_share_what_depends_on_the_pair(tmp_path: Path) -> None:
    picture, info = "float[N,3,H,W]", replace(graphs.INFO, kind=Kind.FLOW, pair_id="1", reuse=Reuse.PAIR)
    flow = f"({picture} frame0, {picture} frame1) => ({picture} flow_0_1) {{ flow_0_1 = Sub (frame1, frame0) }}"
    refine = f"""({picture} frame0, {picture} flow_0_1, float[N,1,1,1] t) => ({picture} frame_t)
        {{ part = Mul (flow_0_1, t) frame_t = Add (frame0, part) }}"""
    graphs.save(tmp_path / "df" / "flow.onnx", f"{graphs.HEAD} flow {flow}", info)
    graphs.save(tmp_path / "df" / "refine.onnx", f"{graphs.HEAD} refine {refine}", replace(info, kind=Kind.REFINE))
    written(tmp_path / "repo", tmp_path / "df", graphs.blend(tmp_path / "mix.onnx"))
    config = kserve.read_config(tmp_path / "repo" / "df")
    assert set(ports(config.input)) == {"frame0", "frame1", "t"}
    assert [step.model_name for step in config.ensemble_scheduling.step] == ["df-flow", "df-refine"]
    repository = kserve.Repository(tmp_path / "repo")
    feeds = {name: np.full((1, 3, 32, 32), value, np.float32) for name, value in (("frame0", 0.2), ("frame1", 0.6))}
    feeds["t"] = np.full((1, 1, 1, 1), 0.5, np.float32)
    np.testing.assert_allclose(repository.infer("df", feeds)["frame_t"], 0.4, atol=1e-6)


def test_a_second_time_is_a_second_version(tmp_path: Path) -> None:
    written(tmp_path / "repo", graphs.blend(tmp_path / "mix.onnx"))
    before = (tmp_path / "repo" / "mix" / "1" / "model.onnx").read_bytes()
    found = written(tmp_path / "repo", graphs.blend(tmp_path / "mix.onnx", gain=0.5))
    assert found == [tmp_path / "repo" / "mix" / "2"]
    assert (tmp_path / "repo" / "mix" / "1" / "model.onnx").read_bytes() == before
    assert (tmp_path / "repo" / "mix" / "2" / "model.onnx").read_bytes() != before
    assert sorted(p.name for p in (tmp_path / "repo").iterdir()) == ["mix"]
    assert sorted(p.name for p in (tmp_path / "repo" / "mix").iterdir()) == ["1", "2", "config.pbtxt"]


def test_another_form_is_no_second_version(tmp_path: Path) -> None:
    written(tmp_path / "repo", graphs.blend(tmp_path / "mix.onnx"))
    with pytest.raises(UsageError, match="the new one has onnxruntime, frame0"):
        written(tmp_path / "repo", graphs.blend_bytes(tmp_path / "mix.onnx"))
    (tmp_path / "repo" / "mine").mkdir()
    with pytest.raises(UsageError, match="expected the configuration of an earlier version"):
        written(tmp_path / "repo", graphs.blend(tmp_path / "mine.onnx"))
    assert sorted(p.name for p in (tmp_path / "repo" / "mix").iterdir()) == ["1", "config.pbtxt"]


def test_a_plan_says_for_whom_it_was_built(tmp_path: Path) -> None:
    (model,) = models_of(engine(tmp_path / "fast.engine", replace(ENGINE, plugins={"BackwardWarp": 12})))
    write_repository(tmp_path / "repo", [model], DEFAULT)
    assert (tmp_path / "repo" / "fast" / "1" / "model.plan").read_bytes() == b"a plan"
    config = kserve.read_config(tmp_path / "repo" / "fast")
    assert (config.backend, config.max_batch_size) == ("tensorrt", 8)
    assert ports(config.input) == {
        "frame0": ("FP32", [3, -1, 96]),
        "frame1": ("FP32", [3, -1, 96]),
        "t": ("FP32", [1] * 3),
    }
    assert ports(config.output) == {"frame_t": ("FP32", [3, -1, 96])}
    said = {name.removeprefix("tweenrt."): value.string_value for name, value in config.parameters.items()}
    assert (said["tensorrt"], said["device"], said["plugins"]) == ("10.16.2", "NVIDIA H200 (sm90)", "BackwardWarp")
    (group,) = config.instance_group
    assert (group.kind, list(group.profile)) == (type(group).Kind.KIND_GPU, ["0", "1"])
    assert any("without our header" in text and "10.16.2" in text for text in model.warnings)
    assert any("--backend-config=tensorrt,plugins=" in text for text in model.warnings)


def test_a_plan_of_one_size(tmp_path: Path) -> None:
    fixed = {"frame0": [1, 64, 96, 3], "frame1": [1, 64, 96, 3], "t": [1, 1, 1, 1]}
    info = replace(ENGINE, inputs=fixed, graph=replace(graphs.INFO, io=FrameIO.UINT8).to_metadata())
    (model,) = models_of(engine(tmp_path / "fast.engine", info))
    write_repository(tmp_path / "repo", [model], DEFAULT)
    config = kserve.read_config(tmp_path / "repo" / "fast")
    assert config.max_batch_size == 0
    assert ports(config.output) == {"frame_t": ("UINT8", [1, 64, 96, 3])}
    assert len(model.warnings) == 1


def test_what_cannot_be_served_is_refused(tmp_path: Path) -> None:
    halves = graphs.blend_halves(tmp_path / "cut")
    with pytest.raises(GraphError, match="expected a 'pair' graph, found 'encoder'"):
        models_of(halves / "encoder.onnx")
    with pytest.raises(EngineError, match="an engine for tensorrt-rtx cannot be served"):
        models_of(engine(tmp_path / "rtx.engine", replace(ENGINE, flavour="tensorrt-rtx")))
    half = replace(graphs.INFO, kind=Kind.SYNTHESIS).to_metadata()
    with pytest.raises(GraphError, match="expected a 'pair' graph"):
        models_of(engine(tmp_path / "half.engine", replace(ENGINE, graph=half)))
    other = graphs.blend_halves(tmp_path / "other")
    graphs.save(
        other / "synthesis.onnx",
        f"{graphs.HEAD} s (float[N,3,H,W] frame0) => (float[N,3,H,W] frame_t) {{ frame_t = Identity (frame0) }}",
        replace(graphs.INFO, kind=Kind.SYNTHESIS, pair_id="2"),
    )
    with pytest.raises(GraphError, match="come from different exports"):
        models_of(other)
    with pytest.raises(GraphError, match="no such graph"):
        models_of(tmp_path / "no.onnx")
    (model,) = models_of(graphs.blend(tmp_path / "mix.onnx"))
    with pytest.raises(UsageError, match="different names"):
        write_repository(tmp_path / "repo", [model, model], DEFAULT)
    with pytest.raises(OutputError, match="cannot be written"):
        write_repository(Path("/proc/repo"), [model], DEFAULT)
    assert not (tmp_path / "repo").exists()
