"""An evaluation that was stopped goes on, and rows of another one are never mixed in."""

from __future__ import annotations

import csv
import math
from fractions import Fraction
from pathlib import Path

import pytest

from tweenrt.errors import OutputError, UsageError
from tweenrt.runtime.evaluate.metrics import Metric
from tweenrt.runtime.evaluate.record import Record
from tweenrt.runtime.evaluate.run import Row

METRICS = (Metric.PSNR, Metric.SSIM)
IDENTITY = {"graph_sha256": "ab12", "dataset": "x4k", "metrics": ["psnr", "ssim"]}
ROWS = [
    Row("4k", "Type1/TEST01/0004", Fraction(1, 8), 0.1, {Metric.PSNR: 1 / 3, Metric.SSIM: 0.1 + 0.2}),
    Row("4k", 'a, "strange" name', Fraction(1, 2), 1e-9, {Metric.PSNR: math.inf, Metric.SSIM: 1.0}),
    Row("2k", "Type1/TEST01/0012", Fraction(3, 8), 12.5, {Metric.PSNR: 31.25, Metric.SSIM: -0.5}),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    record = Record(tmp_path / "rows.csv", IDENTITY, METRICS)
    for row in ROWS:
        record.add(row)
    return tmp_path / "rows.csv"


def test_rows_come_back_bit_for_bit(path: Path) -> None:
    again = Record(path, IDENTITY, METRICS)
    assert again.rows == ROWS
    extra = Row("2k", "more", Fraction(1, 2), 1.0, {Metric.PSNR: 1.0, Metric.SSIM: 0.5})
    again.add(extra)
    assert Record(path, IDENTITY, METRICS).rows == [*ROWS, extra]


def test_other_programs_can_read_it(path: Path) -> None:
    first, *lines = path.read_text().splitlines()
    assert first.startswith("# tweenrt evaluate {")
    rows = list(csv.DictReader(lines))
    assert list(rows[0]) == ["subset", "frame", "t", "seconds", "psnr", "ssim"]
    assert rows[1] == {
        "subset": "4k",
        "frame": 'a, "strange" name',
        "t": "1/2",
        "seconds": "1e-09",
        "psnr": "inf",
        "ssim": "1.0",
    }


def test_every_row_is_in_the_file_at_once(tmp_path: Path) -> None:
    record = Record(tmp_path / "rows.csv", IDENTITY, METRICS)
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 2
    for count, row in enumerate(ROWS, 3):
        record.add(row)
        assert len((tmp_path / "rows.csv").read_text().splitlines()) == count


@pytest.mark.parametrize("cut", [1, 5, 30])
def test_a_last_line_that_is_cut_short_is_dropped(cut: int, path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    record = Record(path, IDENTITY, METRICS)
    assert record.rows == ROWS[:-1]
    record.add(ROWS[-1])
    assert path.read_bytes() == whole


def test_damage_elsewhere_is_refused(path: Path) -> None:
    lines = path.read_text().splitlines(keepends=True)
    for broken in (
        "4k,name,1/8,0.1,nonsense,0.5\n",
        "4k,name\n",
        '"open\n',
        "4k,name,1/0,1,1,1\n",
        "a,b,1/2,1,1,1,1\n",
    ):
        path.write_text("".join([*lines[:3], broken, *lines[4:]]))
        with pytest.raises(UsageError, match=r"rows\.csv: line 4 is damaged; delete that line"):
            Record(path, IDENTITY, METRICS)


def test_another_evaluation_is_refused_and_says_why(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(UsageError, match=r"graph_sha256: there ab12, here cd34\); choose another name with --csv") as e:
        Record(path, IDENTITY | {"graph_sha256": "cd34"}, METRICS)
    assert "dataset" not in str(e.value)
    assert "--overwrite" in str(e.value)
    with pytest.raises(UsageError, match=r"its columns are others"):
        Record(path, IDENTITY, (Metric.PSNR,))
    with pytest.raises(UsageError, match=r"every: there nothing, here 2"):
        Record(path, IDENTITY | {"every": 2}, METRICS)
    assert path.read_bytes() == before


@pytest.mark.parametrize("text", ["", "subset,frame\n1,2\n", "# a note of mine\n"])
def test_files_that_are_no_record_are_left_alone(text: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match="this is another file; choose a name"):
        Record(path, IDENTITY, METRICS)
    assert path.read_text() == text


@pytest.mark.parametrize("head", ["# tweenrt evaluate {broken\nsubset\n4k\n", "# tweenrt evaluate 7\na\nb\n"])
def test_a_damaged_head_is_refused(head: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(head)
    with pytest.raises(UsageError, match="its first line is damaged"):
        Record(path, IDENTITY, METRICS)


def test_a_record_without_rows_stands_in_nobodys_way(path: Path) -> None:
    Record(path, IDENTITY, METRICS, overwrite=True)
    Record(path, IDENTITY | {"graph_sha256": "cd34"}, METRICS)
    assert "cd34" in path.read_text()


def test_overwriting_starts_again(path: Path) -> None:
    assert Record(path, IDENTITY | {"graph_sha256": "cd34"}, METRICS, overwrite=True).rows == []
    assert Record(path, IDENTITY | {"graph_sha256": "cd34"}, METRICS).rows == []
    assert sorted(p.name for p in path.parent.iterdir()) == ["rows.csv"]


def test_what_cannot_be_written(path: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        Record(tmp_path / "absent" / "rows.csv", IDENTITY, METRICS)
    record = Record(path, IDENTITY, METRICS)
    path.unlink()
    path.mkdir()
    with pytest.raises(OutputError, match=r"rows\.csv: cannot be written"):
        record.add(ROWS[0])
