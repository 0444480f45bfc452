"""Workers in processes of their own, through Dask: the same file, also when one of them dies."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import graphs
from support.clips import Clip, moving
from support.crews import REPRODUCIBLE

from tweenrt import cache
from tweenrt.errors import BackendError, GraphError, UsageError
from tweenrt.runtime import Backend, Interpolator, Region
from tweenrt.runtime.jobs.cluster import cluster_crew, local_cluster
from tweenrt.runtime.jobs.distribute import distribute
from tweenrt.runtime.jobs.job import Call, Job, do
from tweenrt.runtime.jobs.orders import Order
from tweenrt.runtime.jobs.packing import unpack
from tweenrt.runtime.jobs.recipe import Recipe, files_of
from tweenrt.runtime.pipeline import PipelineOptions, interpolate_video
from tweenrt.runtime.progress import Progress
from tweenrt.runtime.timeline import ByFactor

distributed = pytest.importorskip("distributed", reason="needs the extra cluster")

JOB = 1 << 20


def recipe_of(path: Path, **options: Any) -> Recipe:
    return Recipe(path.name, files_of(path), Backend.ONNXRUNTIME, threads=1, **options)


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(cache.VARIABLE, str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def address(_own_cache: None) -> Iterator[str]:
    with local_cluster(2) as found:
        yield found


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return graphs.blend(tmp_path_factory.mktemp("graph") / "mix.onnx")


@pytest.fixture
def options(tmp_path: Path) -> PipelineOptions:
    images = [*moving(24, 96, 128), *[255 - image for image in moving(16, 96, 128, seed=5)]]
    clip = Clip(images, time_base=Fraction(1, 25), audio=1.0).write(tmp_path / "in.mp4")
    return PipelineOptions(clip, tmp_path / "out.mp4", ByFactor(8), encoding=REPRODUCIBLE)


def in_one_process(graph: Path, options: PipelineOptions) -> bytes:
    target = options.target.with_name("alone.mp4")
    with Interpolator.open(graph, Backend.ONNXRUNTIME, threads=1) as network:
        interpolate_video(replace(options, target=target), network)
    return target.read_bytes()


def test_two_workers_write_the_file_of_one_process(address: str, graph: Path, options: PipelineOptions) -> None:
    with cluster_crew(address, recipe_of(graph)) as crew:
        assert crew.hands() == 2
        (summary,) = distribute([Order(options, options.target.with_name("jobs"))], crew, job_bytes=JOB)
    assert summary.drawn_frames == 38 * 7
    assert options.target.read_bytes() == in_one_process(graph, options)


def test_a_worker_is_killed_and_the_file_is_the_same(address: str, graph: Path, options: PipelineOptions) -> None:
    killed: list[int] = []

    def kill_one(event: Progress) -> None:
        if event.drawn == 20:
            (pid,) = client.run(os.getpid, workers=[next(iter(client.nthreads()))]).values()
            os.kill(pid, signal.SIGKILL)
            killed.append(event.done)

    with distributed.Client(address) as client, cluster_crew(address, recipe_of(graph)) as crew:
        list(distribute([Order(options, options.target.with_name("jobs"))], crew, kill_one, job_bytes=JOB))
        client.wait_for_workers(2, timeout=60)
        assert crew.hands() == 2
    assert killed
    assert killed[0] < 40 * 8 / 2
    assert options.target.read_bytes() == in_one_process(graph, options)


def test_a_job_that_kills_every_worker_ends_the_run(address: str, graph: Path, options: PipelineOptions) -> None:
    with cluster_crew(address, recipe_of(graph)) as crew:
        deadly = replace(crew, work=_die)
        with pytest.raises(BackendError, match=r"the workers were lost with their jobs \(KilledWorker"):
            list(distribute([Order(options, options.target.with_name("jobs"))], deadly, job_bytes=JOB))
    assert not options.target.exists()


def _die(_: Job) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_graph_and_its_settings_go_to_the_workers(address: str, tmp_path: Path) -> None:
    halves, blend = graphs.blend_halves(tmp_path / "halves"), graphs.blend(tmp_path / "mix.onnx", gain=0.5)
    dark, light = np.zeros((32, 32, 3), np.uint8), np.full((32, 32, 3), 100, np.uint8)
    job = Job(0, 0, [dark, light], [Call(0, 1, (Fraction(1, 2),))])
    for recipe, level in (
        (recipe_of(halves), 50),
        (recipe_of(blend), 25),
        (recipe_of(blend, settings={"gain": 0.2}), 10),
    ):
        with cluster_crew(address, recipe) as crew:
            (frame,) = unpack(crew.executor.submit(crew.work, job).result().content, "")
        assert frame.shape == (32, 32, 3)
        assert (frame == level).all()


def test_what_the_workers_refuse_is_said_here(address: str, graph: Path, tmp_path: Path) -> None:
    damaged = Recipe("bad.onnx", {"bad.onnx": b"nonsense"}, Backend.ONNXRUNTIME)
    with pytest.raises(GraphError, match=r"bad\.onnx"), cluster_crew(address, damaged):
        pass
    with pytest.raises(UsageError, match="has no setting"), cluster_crew(address, recipe_of(graph, settings={"x": 1})):
        pass
    with pytest.raises(UsageError, match="got one with"), cluster_crew(address, recipe_of(graph, version="0.0.1")):
        pass


def test_no_scheduler(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tweenrt.runtime.jobs.cluster._SECONDS_TO_CONNECT", 0.5)
    with (
        pytest.raises(BackendError, match="no Dask scheduler with workers answers there"),
        cluster_crew("tcp://127.0.0.1:1", recipe_of(graph)),
    ):
        pass


def test_a_recipe_draws_what_its_graph_draws(graph: Path) -> None:
    job = Job(0, 0, moving(3), [Call(0, 1, (Fraction(1, 3),)), Call(1, 2, (Fraction(1, 4), Fraction(3, 4)))])
    with Interpolator.open(graph, Backend.ONNXRUNTIME, threads=1) as one, recipe_of(graph).open() as other:
        assert do(job, one).content == do(job, other).content


def test_what_names_a_recipe(graph: Path, tmp_path: Path) -> None:
    other = graphs.blend(tmp_path / "mix.onnx", gain=0.5)
    region = Region(np.eye(4, dtype=bool), 0.5)
    recipes = [
        recipe_of(graph),
        recipe_of(other),
        recipe_of(graph, settings={"gain": 0.5}),
        recipe_of(graph, iterations=3),
        recipe_of(graph, regions=(region,)),
        recipe_of(graph, regions=(replace(region, t=0.25),)),
        replace(recipe_of(graph), backend=Backend.AUTO),
    ]
    assert len({recipe.drawn_by for recipe in recipes}) == len(recipes)
    assert replace(recipe_of(graph), threads=4).drawn_by == recipes[0].drawn_by


def test_a_graph_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "no.onnx", tmp_path):
        with pytest.raises(GraphError, match="no such graph"):
            files_of(path)
