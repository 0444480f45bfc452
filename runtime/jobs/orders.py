"""What is to be done, video by video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tweenrt.errors import OutputError, UsageError
from tweenrt.runtime.pipeline import PipelineOptions

_ENDING = ".jobs"


@dataclass(frozen=True)
class Order:
    """One video to interpolate.

    Attributes:
        options: what to read and write.
        folder: where finished jobs are kept until the video is complete.
    """

    options: PipelineOptions
    folder: Path


def orders_for(sources: Sequence[Path], out: Path, common: PipelineOptions, jobs: Path | None = None) -> list[Order]:
    """An order for each of `sources`.

    Args:
        sources: videos, or folders of images; one at least.
        out: the video to write; for several sources a folder, in which each keeps its name.
        common: everything but source and target.
        jobs: where finished jobs are kept; for several sources a folder for their folders. None for beside the target.

    Raises:
        UsageError: two sources have the same name, or `out` is a file though there are several sources.
        OutputError: the folder `out` cannot be made.
    """
    if len(sources) == 1:
        return [_order(common, sources[0], out, jobs)]
    if len({source.name for source in sources}) < len(sources):
        raise UsageError(f"{out}: two of the inputs have the same name; interpolate them one by one, or rename one")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise UsageError(f"{out}: expected a folder for {len(sources)} videos, but this is a file") from error
    except OSError as error:
        raise OutputError(f"{out}: the folder cannot be made ({error.strerror})") from error
    return [_order(common, s, out / s.name, None if jobs is None else jobs / s.name) for s in sources]


def _order(common: PipelineOptions, source: Path, target: Path, folder: Path | None) -> Order:
    beside = target.with_name(f"{target.name}{_ENDING}")
    return Order(replace(common, source=source, target=target), beside if folder is None else folder)
