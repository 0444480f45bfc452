"""What is said where TensorRT does not take a graph or cannot build it: what is wrong, and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from support.engines import use_plugin_library, write_graph

from tweenrt import cache
from tweenrt.errors import BackendError, GraphError, UsageError
from tweenrt.plugins import library
from tweenrt.runtime.engines.build_errors import why_not_built
from tweenrt.runtime.engines.builder import BuildOptions, build_plan
from tweenrt.runtime.engines.engine_cache import engine_for
from tweenrt.runtime.engines.tensorrt import Flavour

OPTIONS = BuildOptions(Flavour.RTX, targets=("sm86",))
WARP = "g (float[1,4,16,24] x, float[1,2,16,24] flow) => (float[1,4,16,24] y) { y = tweenrt.BackwardWarp (x, flow) }"
SPLAT = WARP.replace("BackwardWarp", "ForwardSplat")
POOL = "MaxPool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]>"
LARGE = f"g (float[1,8,512,512] x) => (float[1,8,512,512] y) {{ a = {POOL} (x)\n y = {POOL} (a) }}"
PRODUCTS = "g (float[1,512,512] x) => (float[1,512,512] y) { a = Softmax (x)\n b = MatMul (a, x)\n y = MatMul (b, a) }"

GENERAL = r"docs/tensorrt\.md tells what .* another opset and export it again, or run the graph on ONNX Runtime"
AGAIN = r"Export the graph again with this version of tweenrt"


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_plugin_library(monkeypatch)
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("g (float[4,4] x) => (float y) { y = Det (x) }", r"Det \(.*\): TensorRT has no such operator\. " + GENERAL),
        (
            "g (float[4,4] x) => (int64[N,M] y) { y = NonZero (x) }",
            r"NonZero \(.*\): .*not found.*registry\. " + GENERAL,
        ),
        ("g (float[1,4] x, float16[1,4] z) => (float[1,4] y) { y = Add (x, z) }", "Add .*same input types.*" + GENERAL),
        ("g (float[1,4] x) => (float[1,4] y) { y = tweenrt.Unknown (x) }", rf"Unknown .*[Pp]lugin not found.*{AGAIN}"),
        (WARP.replace("float[1,2", "float[1,3"), rf"BackwardWarp .*: flow must be \[N,2,H,W\].*{AGAIN}"),
    ],
)
def test_what_the_parser_refuses_is_explained(text: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=says):
        build_plan(write_graph(tmp_path, text), OPTIONS)


def test_what_only_a_kernel_of_ours_can_do_is_said(tmp_path: Path) -> None:
    from tweenrt.export.passes.attach_bodies import attach_bodies

    path = write_graph(tmp_path, SPLAT)
    onnx.save(attach_bodies(onnx.load(path)), path)
    says = r"in the body of .*ForwardSplat.*has a kernel for ForwardSplat; .*`make plugins`, and no --no-plugins"
    with pytest.raises(GraphError, match=says):
        build_plan(path, replace(OPTIONS, plugins=False))


def test_a_graph_without_bodies_needs_the_plugin_library(tmp_path: Path) -> None:
    # In a process of its own: TensorRT cannot forget the library that other tests have loaded.
    graph, engine = write_graph(tmp_path, WARP), tmp_path / "x.engine"
    options = ["build", str(graph), "-o", str(engine), "--flavour", "tensorrt-rtx", "--target", "sm86", "--no-plugins"]
    done = subprocess.run([sys.executable, "-m", "tweenrt.cli", *options], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no portable body for it, our plugin library a kernel" in done.stderr
    assert "`make plugins`, and no --no-plugins in the command" in done.stderr


def test_a_library_that_was_not_built_is_said_with_both_ways_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(library.VARIABLE)
    monkeypatch.setattr(library, "_PLACES", (tmp_path,))
    with pytest.raises(UsageError, match=r"run 'make plugins' .*build --no-plugins"):
        engine_for(write_graph(tmp_path, WARP), OPTIONS)


@pytest.mark.parametrize("text", [LARGE, PRODUCTS])
@pytest.mark.parametrize("workspace", [1, 2])
def test_a_workspace_that_is_too_small_is_to_be_raised(text: str, workspace: int, tmp_path: Path) -> None:
    graph = write_graph(tmp_path, text)
    with pytest.raises(BackendError, match=rf"may use {workspace} MiB .* too little: allow more with --workspace"):
        build_plan(graph, replace(OPTIONS, workspace_mib=workspace))
    build_plan(graph, replace(OPTIONS, workspace_mib=64))


FULL = "Requested amount of GPU memory (3221225472 bytes) could not be allocated. Out of memory"


@pytest.mark.parametrize(
    ("error", "workspace", "says"),
    [
        (FULL, None, "The GPU ran out of memory: build for a smaller --size"),
        (FULL, 4096, "The GPU ran out of memory: build for a smaller --size"),
        (FULL, 1024, "may use 1024 MiB of memory, which is too little: allow more"),
        ("Could not find any implementation for node conv", 16, "may use 16 MiB of memory, which is too little"),
        ("FP32 GEMM is not supported for Turing", None, "leave sm75 out of --target"),
    ],
)
def test_what_to_change_where_a_build_fails(error: str, workspace: int | None, says: str) -> None:
    assert why_not_built(["before", f"{error}\nmore"], workspace).startswith(f"{error}. ")
    assert says in why_not_built([error], workspace)


def test_a_failure_of_another_kind_is_told_as_it_is() -> None:
    assert why_not_built(["Could not find any implementation"], None) == "Could not find any implementation"
    assert why_not_built([], None) == "it gave no reason"
    assert os.linesep not in why_not_built(["one\ntwo"], 16)
