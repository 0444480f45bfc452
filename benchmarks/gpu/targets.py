"""What the kernels are to reach, and whether they do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

Row = dict[str, Any]

FAST = "FP16 HWC8"
WARPS = ("backward_warp", "warp_concat", "warp_blend", "merge")
BANDWIDTH = 0.75  # of the measured copy, on maps larger than the second-level cache
DEFORM = 3.0  # times as fast as the fastest formulation by columns
RESIZE = 2.0  # times as fast as the fastest formulation, which is given the grid of its samples
MASKED_SHARE, MASKED_RATIO = 0.25, 0.5  # of active tiles; of the dense time
BREAK_EVEN = 0.5  # share of active tiles
LAYERS = 5  # that share one list of tiles, at the finest level of UGSP
# Division makes a step where a splatted weight passes zero: single pixels may differ there.
MAY_BE_OFF = {"forward_splat": 1e-4}


class Verdict(NamedTuple):
    """A target, whether it is reached, and by what."""

    target: str
    verdict: str
    why: str


def judged(steps: dict[str, Row], emulator: bool) -> list[Verdict]:
    """All targets. On the emulator times mean nothing, so only correctness is judged."""
    speed, sweep = rows(steps, "speed"), rows(steps, "density")
    verdicts = [*correctness(steps, emulator)]
    facts = rows(steps, "machine")
    timed = [
        *(warp(op, speed, facts[0] if facts else {}) for op in WARPS),
        faster("deform_conv2d", "the fastest formulation by columns", DEFORM, speed),
        faster("warp_resize", "the fastest formulation in torch", RESIZE, speed),
        *masked(sweep),
    ]
    if emulator:
        timed = [Verdict(v.target, "not judged", "times of the emulator mean nothing") for v in timed]
    return verdicts + timed


def rows(steps: dict[str, Row], step: str) -> list[Row]:
    """The rows of a step; none if it was not run."""
    found: list[Row] = steps.get(step, {}).get("rows", [])
    return found


def correctness(steps: dict[str, Row], emulator: bool) -> Iterator[Verdict]:
    """Parity, the checkers of memory and races, and the results at the sizes that were timed."""
    tests = rows(steps, "parity")
    counts = {key: sum(r.get(key, 0) for r in tests) for key in ("passed", "wrong", "skipped")}
    said = ", ".join(f"{count} {key}" for key, count in counts.items())
    target = "parity tests of every op and format" + (" (on the emulator only the quick ones)" if emulator else "")
    yield _check(target, steps.get("parity"), said, bool(tests))
    checks = steps.get("sanitizer")
    said = ", ".join(f"{r['tool']} over {r['launched']} launches" for r in rows(steps, "sanitizer"))
    if checks and "not_run" in checks:
        checks = {**checks, "failed": checks["failed"] or ""}
        said = f"{checks['not_run']}; {checks['launched']} launches without it"
    yield _check("compute-sanitizer finds nothing", checks, said, bool(rows(steps, "sanitizer")))
    timed = [*rows(steps, "speed"), *rows(steps, "density")]
    wrong = [r for r in timed if not right(r)]
    said = f"{len(timed) - len(wrong)} of {len(timed)} launches" + "".join(f"; {name(r)}" for r in wrong[:5])
    ended = [step for step in ("speed", "density") if steps.get(step, {}).get("failed")]
    said += "".join(f"; {step} did not finish" for step in ended)
    yield Verdict("results at the sizes that were timed", _word(bool(timed or ended), not wrong and not ended), said)


def _check(target: str, step: Row | None, said: str, ran: bool) -> Verdict:
    failed = (step or {}).get("failed", "")
    why = said if step else "this step was not run"
    return Verdict(
        target,
        _word(ran or bool(failed), not failed),
        " ".join(f"{why}{'; ' + failed if failed else ''}".split())[:400],
    )


def right(row: Row) -> bool:
    """Whether a launch gave what the reference gives."""
    return "failed" not in row and row["off"] <= MAY_BE_OFF.get(row.get("op", ""), 0.0)


def warp(op: str, speed: Iterable[Row], machine: Row) -> Verdict:
    """Share of the measured bandwidth on large maps."""
    target = f"{op}: at least {BANDWIDTH:.0%} of the copy's bandwidth on maps larger than the L2 cache"
    large = [r for r in _fast(speed, op) if r["moved"] >= machine.get("l2_bytes", 0)]
    if not large or not machine:
        return Verdict(target, "not measured", "no launch of that size")
    return _least(target, large, lambda r: bandwidth(r, machine), BANDWIDTH, "{:.0%}")


def faster(op: str, than: str, wanted: float, speed: Iterable[Row]) -> Verdict:
    """Against the fastest of its formulations."""
    target = f"{op}: at least {wanted:g} times as fast as {than}"
    found = [r for r in _fast(speed, op) if fastest(r)]
    if not found:
        return Verdict(target, "not measured", "nothing to compare with")
    return _least(target, found, times_faster, wanted, "{:.2f} times")


def masked(sweep: list[Row]) -> Iterator[Verdict]:
    """The time at a quarter of the tiles, and the share at which dense is as fast."""
    for layer in list(dict.fromkeys(r["layer"] for r in sweep)) or ["every layer"]:
        found = [r for r in sweep if r["layer"] == layer and fastest(r) and right(r)]
        quarter = [dense_share(r) for r in found if abs(r["active"] - MASKED_SHARE) < 0.03]
        text = (
            f"masked_conv2d, {layer}: at most {MASKED_RATIO:g} of cuDNN's dense time at {MASKED_SHARE:.0%} of the tiles"
        )
        ratio = max(quarter, default=0.0)
        yield Verdict(text, _word(bool(quarter), ratio <= MASKED_RATIO), f"{ratio:.2f}" if quarter else "not run")
        share, said = break_even([(r["active"], dense_share(r)) for r in found])
        text = f"masked_conv2d, {layer}: break-even at {BREAK_EVEN:.0%} of the tiles or above"
        yield Verdict(text, _word(bool(found), share >= BREAK_EVEN), said if found else "not run")


def dense_share(row: Row) -> float:
    """Time of a masked layer, with its part of the list, over the fastest dense one."""
    best = fastest(row)
    return float((row["kernel"]["us"] + row["list"]["us"] / LAYERS) / best[1]) if best else float("nan")


def break_even(points: list[tuple[float, float]]) -> tuple[float, str]:
    """Where the ratio to the dense time passes 1, between measured shares of active tiles; and in words.

    Args:
        points: (share of active tiles, time over the dense time).
    """
    points = sorted(points)
    for (low, before), (high, after) in pairwise(points):
        if before <= 1.0 < after:
            share = low + (high - low) * (1.0 - before) / (after - before)
            return share, f"break-even at {share:.0%} of the tiles"
    if points and points[0][1] > 1.0:
        return 0.0, f"slower than dense already at {points[0][0]:.0%} of the tiles"
    return 1.0, f"not slower than dense up to {points[-1][0]:.0%} of the tiles" if points else "not run"


def bandwidth(row: Row, machine: Row) -> float:
    """Share of the copy's bandwidth that a launch reached, by its least bytes."""
    return float(row["moved"] / row["kernel"]["us"] / 1000 / machine["copy_gb_per_s"])


def fastest(row: Row) -> tuple[str, float] | None:
    """The fastest formulation in torch, plain or as a graph: its name and microseconds."""
    times = [
        (f"{f['name']} ({way})", f[way]["us"])
        for f in row.get("formulations", [])
        for way in ("plain", "graph")
        if way in f
    ]
    return min(times, key=lambda t: t[1], default=None)


def times_faster(row: Row) -> float:
    """How many times faster than the fastest formulation."""
    best = fastest(row)
    return float(best[1] / row["kernel"]["us"]) if best else 0.0


def name(row: Row) -> str:
    """A launch in words."""
    return " ".join(str(row.get(key, "")) for key in ("op", "case", "layer", "format")).strip()


def _fast(speed: Iterable[Row], op: str) -> list[Row]:
    return [r for r in speed if r["op"] == op and r["format"] == FAST and "failed" not in r]


def _least(target: str, found: list[Row], value: Callable[[Row], float], wanted: float, text: str) -> Verdict:
    worst = min(found, key=value)
    said = f"lowest of {len(found)}: {text.format(value(worst))} at {worst['case']}"
    good = all(right(r) for r in found)
    return Verdict(target, _word(True, good and value(worst) >= wanted), said + ("" if good else "; wrong results"))


def _word(measured: bool, good: bool) -> str:
    return ("pass" if good else "FAIL") if measured else "not measured"
