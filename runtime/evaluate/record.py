"""Finished rows as a CSV file, so that an evaluation that was stopped goes on where it was."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from tweenrt.errors import OutputError, UsageError
from tweenrt.runtime.evaluate.metrics import Metric
from tweenrt.runtime.evaluate.run import Row
from tweenrt.runtime.output import write_whole

_MAGIC = "# tweenrt evaluate "
_FACTS = ("subset", "frame", "t", "seconds")


class Record:
    """The file of an evaluation: a comment that says what was evaluated, the names of the columns, a line a row.

    Every row is on its way to the disk as soon as it is added. A last line that is not complete is dropped.

    Args:
        path: the file; it is made where there is none.
        identity: what the rows depend on; JSON values.
        metrics: the columns after group, frame, moment and seconds.
        overwrite: start again, whatever the file holds.

    Attributes:
        rows: those that the file held.

    Raises:
        UsageError: the file is no such record, holds rows of something else, or is damaged.
        OutputError: it cannot be written.
    """

    def __init__(
        self, path: Path, identity: Mapping[str, object], metrics: Sequence[Metric], *, overwrite: bool = False
    ) -> None:
        self._path, self._metrics = path, list(metrics)
        self.rows: list[Row] = []
        head = f"{_MAGIC}{json.dumps(identity)}\n{_line([*_FACTS, *(m.value for m in metrics)])}"
        text = path.read_bytes().decode(errors="replace") if path.exists() else ""
        if overwrite or not path.exists() or _is_without_rows(text):
            write_whole(path, head.encode())
            return
        _expect_head(path, text, head)
        complete = text[: text.rfind("\n") + 1]
        self.rows = [self._row(number, line) for number, line in enumerate(complete.split("\n")[2:-1], 3)]
        if complete != text:
            write_whole(path, complete.encode())

    def add(self, row: Row) -> None:
        """Append a row.

        Raises:
            OutputError: it cannot be written.
        """
        values = [repr(row.values[metric]) for metric in self._metrics]
        line = _line([row.group, row.name, str(row.t), repr(row.seconds), *values])
        try:
            with self._path.open("a", encoding="utf-8", newline="") as file:
                file.write(line)
        except OSError as error:
            raise OutputError(
                f"{self._path}: cannot be written ({error.strerror or error}); the rows so far are in it, and the same "
                "command goes on from there"
            ) from error

    def _row(self, number: int, line: str) -> Row:
        try:
            ((group, name, t, seconds, *values),) = csv.reader([line], strict=True)
            figures = dict(zip(self._metrics, map(float, values), strict=True))
            return Row(group, name, Fraction(t), float(seconds), figures)
        except (ValueError, ZeroDivisionError, csv.Error) as error:
            raise UsageError(
                f"{self._path}: line {number} is damaged; delete that line, and its frame will be drawn again"
            ) from error


def _line(fields: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(fields)
    return line.getvalue()


def _is_without_rows(text: str) -> bool:
    """Whether a record holds nothing that could be lost."""
    return text.startswith(_MAGIC) and text.count("\n") <= 2


def _expect_head(path: Path, text: str, expected: str) -> None:
    """Refuse a file whose first two lines are not the expected ones, and say in what they differ."""
    found, wanted = text.split("\n")[:2], expected.split("\n")[:2]
    if found == wanted:
        return
    if not text.startswith(_MAGIC):
        raise UsageError(f"{path}: expected the record of an earlier evaluation, this is another file; choose a name")
    raise UsageError(
        f"{path}: holds the rows of another evaluation ({_difference(found[0], wanted[0])}); choose another name with "
        "--csv, or start this one again with --overwrite"
    )


def _difference(found: str, wanted: str) -> str:
    try:
        theirs = dict(json.loads(found.removeprefix(_MAGIC)))
    except (ValueError, TypeError):
        return "its first line is damaged"
    ours = json.loads(wanted.removeprefix(_MAGIC))
    differing = [key for key in ours if theirs.get(key) != ours[key]]
    facts = (f"{key}: there {theirs.get(key, 'nothing')}, here {ours[key]}" for key in differing)
    return "; ".join(facts) or "its columns are others"
