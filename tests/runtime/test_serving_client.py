"""The client against a server of the KServe v2 protocol, over HTTP and over gRPC."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import graphs
from support.clips import Clip, moving
from support.crews import REPRODUCIBLE

from tweenrt.errors import BackendError, GraphError, UsageError
from tweenrt.runtime import Backend, Interpolator, Region
from tweenrt.runtime.jobs.distribute import distribute
from tweenrt.runtime.jobs.orders import Order
from tweenrt.runtime.jobs.servers import Servers, server_crew
from tweenrt.runtime.pipeline import PipelineOptions, interpolate_video
from tweenrt.runtime.serving.config import ServingOptions
from tweenrt.runtime.serving.endpoint import Endpoint
from tweenrt.runtime.serving.graphs import models_of
from tweenrt.runtime.serving.repository import write_repository
from tweenrt.runtime.serving.server_session import ServerSession, interpolator_on
from tweenrt.runtime.timeline import ByFactor

kserve = pytest.importorskip("support.kserve", reason="needs the extra triton", exc_type=ImportError)

Serve = Callable[[Any], AbstractContextManager[str]]
PROTOCOLS = ["serve_http", "serve_grpc"]
NO_PAUSES = (0.0, 0.0, 0.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    sources = [graphs.blend(tmp_path / "mix.onnx"), graphs.blend_halves(tmp_path / "cut")]
    sources.append(graphs.blend_bytes(tmp_path / "bytes.onnx"))
    models = [model for source in sources for model in models_of(source)]
    write_repository(tmp_path / "repo", models, ServingOptions())
    return tmp_path / "repo"


@pytest.fixture
def repository(folder: Path) -> Any:
    return kserve.Repository(folder)


@pytest.fixture(params=PROTOCOLS)
def url(request: pytest.FixtureRequest, repository: Any) -> Iterator[str]:
    with getattr(kserve, request.param)(repository) as found:
        yield found


@pytest.fixture
def options(tmp_path: Path) -> PipelineOptions:
    images = [*moving(8), *[255 - image for image in moving(5, seed=5)]]
    clip = Clip(images, time_base=Fraction(1, 25), audio=0.5).write(tmp_path / "in.mp4")
    return PipelineOptions(clip, tmp_path / "out.mp4", ByFactor(4), encoding=REPRODUCIBLE)


def in_one_process(graph: Path, options: PipelineOptions) -> bytes:
    target = options.target.with_name("alone.mp4")
    with Interpolator.open(graph, Backend.ONNXRUNTIME, threads=1) as network:
        interpolate_video(replace(options, target=target), network)
    return target.read_bytes()


def joined(options: PipelineOptions, servers: Servers) -> bytes:
    with server_crew(servers) as crew:
        list(distribute([Order(options, options.target.with_name("jobs"))], crew, job_bytes=100_000))
    return options.target.read_bytes()


@pytest.mark.parametrize(("model", "graph"), [("mix", "mix.onnx"), ("cut", "cut"), ("bytes", "bytes.onnx")])
def test_a_server_s_frames_make_the_file_of_one_process(
    url: str, options: PipelineOptions, tmp_path: Path, model: str, graph: str
) -> None:
    assert joined(options, Servers([url], model, connections=3)) == in_one_process(tmp_path / graph, options)


def test_a_session_knows_the_graph(url: str, folder: Path) -> None:
    session = ServerSession(url, "mix", timeout=30)
    assert session.info == graphs.INFO
    assert session.inputs["frame0"] == ("?", 3, "?", "?")
    assert session.inputs["t"] == ("?", 1, 1, 1)
    assert list(session.outputs) == ["frame_t", "brightness"]
    session.close()


def test_a_server_s_frames_are_those_of_the_graph(url: str, tmp_path: Path) -> None:
    first, second = moving(2, 35, 53)
    times = [Fraction(1, 4), Fraction(2, 3)]
    with (
        interpolator_on(ServerSession(url, "mix", timeout=30)) as remote,
        Interpolator.open(tmp_path / "mix.onnx", Backend.ONNXRUNTIME) as here,
    ):
        for ours, theirs in zip(here.between(first, second, times), remote.between(first, second, times), strict=True):
            assert np.array_equal(ours, theirs)
        assert remote.reports().keys() == here.reports().keys() == {"brightness"}


def test_a_failing_server_is_asked_again(repository: Any, url: str, options: PipelineOptions, tmp_path: Path) -> None:
    repository.failures = 5
    content = joined(options, Servers([url], "mix", connections=1, pauses=NO_PAUSES * 2))
    assert content == in_one_process(tmp_path / "mix.onnx", options)
    assert repository.failures == 0


def test_a_server_that_fails_on_and_on_ends_the_run(repository: Any, url: str, options: PipelineOptions) -> None:
    repository.failures = 1000
    with pytest.raises(BackendError, match="the server is going down"):
        joined(options, Servers([url], "mix", connections=2, pauses=NO_PAUSES))
    assert not options.target.exists()


def test_another_server_takes_over(repository: Any, folder: Path, options: PipelineOptions, tmp_path: Path) -> None:
    other = kserve.Repository(folder)
    with kserve.serve_http(repository) as one, kserve.serve_grpc(other) as two:
        repository.failures = 1000
        content = joined(options, Servers([one, two], "mix", connections=1, pauses=NO_PAUSES))
    assert content == in_one_process(tmp_path / "mix.onnx", options)
    assert repository.requests > 0
    assert other.requests > 0


def test_a_run_goes_on_with_what_it_had(repository: Any, url: str, options: PipelineOptions, tmp_path: Path) -> None:
    servers = Servers([url], "mix", connections=1, pauses=())
    repository.failures = 0
    answered = repository.infer

    def breaks(name: str, feeds: Any) -> Any:
        if repository.requests == 20:
            repository.failures = 1
        return answered(name, feeds)

    repository.infer = breaks
    with pytest.raises(BackendError):
        joined(options, servers)
    before = repository.requests
    assert joined(options, servers) == in_one_process(tmp_path / "mix.onnx", options)
    assert repository.requests - before < 11 * 3


def test_servers_with_different_graphs_are_refused(repository: Any, tmp_path: Path) -> None:
    path = graphs.blend(tmp_path / "mix.onnx", gain=0.5)
    write_repository(tmp_path / "other", models_of(path), ServingOptions())
    with (
        kserve.serve_http(repository) as one,
        kserve.serve_http(kserve.Repository(tmp_path / "other")) as two,
        pytest.raises(UsageError, match="models 'mix' differ"),
        server_crew(Servers([one, two], "mix")),
    ):
        pass


def test_what_a_server_does_not_have(url: str) -> None:
    with pytest.raises(UsageError, match="has no model 'rife'"):
        ServerSession(url, "rife", timeout=30)
    with pytest.raises(GraphError, match="found the part 'encoder' of one"):
        interpolator_on(ServerSession(url, "cut-encoder", timeout=30))


def test_a_model_that_nobody_described(repository: Any, url: str) -> None:
    repository.config("mix").ClearField("parameters")
    with pytest.raises(GraphError, match="'mix' has none of its parameters"):
        ServerSession(url, "mix", timeout=30)


def test_a_wrong_request_names_what_the_server_said(url: str) -> None:
    session = ServerSession(url, "mix", timeout=30)
    with pytest.raises(BackendError, match="expected the inputs"):
        session.run({"frame0": np.zeros((1, 3, 32, 32), np.float32)})
    session.close()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "grpc://127.0.0.1:1"])
def test_nobody_answers(url: str) -> None:
    with pytest.raises(BackendError, match="gave no answer"):
        ServerSession(url, "mix", timeout=5)


@pytest.mark.parametrize("url", ["host:8000", "ftp://host", "http://", "grpc"])
def test_addresses_are_checked(url: str) -> None:
    with pytest.raises(UsageError, match="expected the address of a server"):
        Endpoint(url, timeout=5)


def test_what_is_drawn_by(url: str) -> None:
    region = Region(np.eye(4, dtype=bool), 0.5)
    chosen = [Servers([url], "mix"), Servers([url], "cut"), Servers([url], "mix", iterations=3)]
    names = []
    for servers in chosen:
        with server_crew(servers) as crew:
            names.append(crew.drawn_by)
    assert len(set(names)) == 3
    with (
        pytest.raises(UsageError, match="one moment for the whole frame"),
        server_crew(replace(chosen[0], regions=[region])),
    ):
        pass
