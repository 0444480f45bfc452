"""`tweenrt serve-repo`: graphs and engines as a model repository for NVIDIA Triton Inference Server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tweenrt.cli.console import step, warn
from tweenrt.runtime.serving.config import ServingOptions
from tweenrt.runtime.serving.graphs import models_of
from tweenrt.runtime.serving.repository import write_repository


def serve_repo(
    graphs: Annotated[
        list[Path],
        typer.Argument(metavar="GRAPH...", help="Graphs, engines for TensorRT, or folders of a split export."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FOLDER", help="The model repository; may exist.")],
    max_batch: Annotated[
        int, typer.Option(min=1, help="Most pairs that the server puts together; 1 puts none together.")
    ] = 8,
    delay: Annotated[int, typer.Option(min=0, help="Microseconds that a pair waits for others.")] = 1000,
    instances: Annotated[int, typer.Option(min=1, help="Copies of each model that run at the same time.")] = 1,
    gpu: Annotated[
        list[int] | None, typer.Option(min=0, help="Run on this GPU; may be repeated (default: the server decides).")
    ] = None,
) -> None:
    """Write a model repository, from which Triton serves the graphs under the names of their files.

    A model that is in FOLDER already gets one more version. Clients: `tweenrt distribute --server`, or any that speaks
    the KServe v2 protocol.
    """
    models = [model for graph in graphs for model in models_of(graph)]
    versions = write_repository(out, models, ServingOptions(max_batch, delay, instances, tuple(gpu or ())))
    for model in models:
        for text in model.warnings:
            warn(text)
    step(f"wrote {len(versions)} models; start the server with: tritonserver --model-repository={out.resolve()}")
    for version in versions:
        typer.echo(str(version))
