"""What lies around a pair: neighbours inside a scene, none beyond a cut or the clip's ends."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tweenrt.runtime.neighbours import surrounded
from tweenrt.runtime.scene import Between
from tweenrt.runtime.schedule import Segment

M, C, S = Between.MOTION, Between.CUT, Between.STILL


def segments(verdicts: tuple[Between, ...]) -> Iterator[Segment[int]]:
    """Frames 0, 1, 2 … with these verdicts between them, and the last frame alone, as `schedule` gives them."""
    for k, verdict in enumerate(verdicts):
        yield Segment(k, k + 1, (), verdict)
    yield Segment(len(verdicts), None, (), S)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ((M,), [(None, None)]),
        ((M, M, M), [(None, 2), (0, 3), (1, None)]),
        ((M, M, C, M, M), [(None, 2), (0, None), (1, 4), (None, 5), (3, None)]),
        ((M, C, M), [(None, None), (0, 3), (None, None)]),
        ((M, S, M), [(None, 2), (0, 3), (1, None)]),
    ],
    ids=["one pair", "clip ends", "cut", "cuts on both sides", "a repeated frame counts"],
)
def test_neighbours(verdicts: tuple[Between, ...], expected: list[tuple[int | None, int | None]]) -> None:
    *pairs, last = surrounded(segments(verdicts))
    assert [(p.before, p.after) for p in pairs] == expected
    assert last.segment.second is None


def test_only_one_segment_is_looked_ahead() -> None:
    asked = []

    def noted() -> Iterator[Segment[int]]:
        for segment in segments((M, M, M)):
            asked.append(segment.first)
            yield segment

    found = surrounded(noted())
    next(found)
    assert asked == [0, 1]
