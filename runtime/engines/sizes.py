"""For what sizes an engine is built: a range for each profile, from what was asked for and what the graph takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tweenrt.errors import UsageError
from tweenrt.runtime.onnx_file import OnnxFile

Size = tuple[int, int]


@dataclass(frozen=True)
class SizeRange:
    """What sizes a plan takes and which one it is tuned for: frames of (H, W) pixels and how many at once."""

    least: Size
    best: Size
    most: Size
    batch: tuple[int, int, int] = (1, 1, 1)

    @classmethod
    def fixed(cls, size: Size, batch: int = 1) -> SizeRange:
        """One size only."""
        return cls(size, size, size, (batch, batch, batch))

    @classmethod
    def of(cls, letters: Mapping[str, int]) -> SizeRange:
        """One size of everything that is open; what is fixed does not look at it.

        Args:
            letters: ``"N"``, ``"H"`` and ``"W"``, those that are open, → size.
        """
        height, width, batch = (letters.get(letter, 1) for letter in "HWN")
        return cls.fixed((height, width), batch)

    def values(self, which: int) -> dict[str, int]:
        """N, H and W of the least (0), best (1) or most (2) size."""
        height, width = (self.least, self.best, self.most)[which]
        return {"N": self.batch[which], "H": height, "W": width}


def fit(graph: OnnxFile, asked: Sequence[SizeRange], batch: int = 1) -> tuple[SizeRange, ...]:
    """The ranges to build `graph` for: none where nothing is open.

    Frames come in every size, and float ones are padded before they reach the graph; sizes are rounded up likewise.

    Args:
        graph: what is built.
        asked: for frames of these sizes; what `graph` does not leave open is not looked at.
        batch: how many frames at once at most, where `graph` leaves only that open and nothing is asked.

    Raises:
        UsageError: `graph` leaves the size of frames open, and none is asked.
    """
    if not graph.letters:
        return ()
    if graph.letters == ["N"]:
        batches = [sizes.batch for sizes in asked] or [(1, batch, batch)]
        return tuple(replace(SizeRange.of({}), batch=each) for each in dict.fromkeys(batches))
    if asked:
        return tuple(dict.fromkeys(_padded(graph, sizes) for sizes in asked))
    raise UsageError(
        f"{graph.path} leaves {', '.join(graph.letters)} open; say the sizes to build for with --size HxW, or "
        "--min, --opt and --max HxW"
    )


def expect_taken(graph: OnnxFile, asked: Sequence[SizeRange]) -> None:
    """Refuse to build a graph of one size for another.

    Raises:
        UsageError: `graph` is for frames of one size only, and another one is asked.
    """
    only = graph.frame_size
    if only is None:
        return
    for size in (size for sizes in asked for size in (sizes.best, sizes.least, sizes.most)):
        if graph.info.padded(size) != only:
            raise UsageError(
                f"{graph.path} is for frames of {spell(only)} only, asked for {spell(size)}; leave the size out, or "
                f"export the graph with --size {spell(size)} or --dynamic"
            )


def spell(size: Size) -> str:
    """A size as it is written on the command line."""
    return f"{size[0]}x{size[1]}"


def _padded(graph: OnnxFile, sizes: SizeRange) -> SizeRange:
    least, best, most = (graph.info.padded(size) for size in (sizes.least, sizes.best, sizes.most))
    return replace(sizes, least=least, best=best, most=most)


__all__ = ["Size", "SizeRange", "expect_taken", "fit", "spell"]
