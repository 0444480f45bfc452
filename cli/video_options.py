"""What the verbs that make videos have in common: their options, and how the texts of options are read."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from fractions import Fraction
from typing import Annotated, TypeVar

import typer

from tweenrt.contract import parse_rate
from tweenrt.errors import UsageError
from tweenrt.runtime.scene import Duplicates
from tweenrt.runtime.timeline import ByFactor, Retiming, ToRate

ChoiceT = TypeVar("ChoiceT", bound=Enum)

Factor = Annotated[int | None, typer.Option(help="Frames made of each frame (default: 2).")]
Fps = Annotated[str | None, typer.Option(help="Output frame rate instead, such as 60 or 60000/1001.")]
Iterations = Annotated[int, typer.Option(min=1, help="Runs for each frame, for [D,R] networks.")]
Regions = Annotated[
    list[str] | None,
    typer.Option(
        "--region", metavar="MASK=T", help="Draw where the image MASK is bright at T, for [D] networks; repeatable."
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Change a setting of the graph, such as mask_threshold=0.2."),
]
Codec = Annotated[str | None, typer.Option(help="FFmpeg's name of an encoder.")]
Crf = Annotated[int | None, typer.Option(help="Quality, lower is better (default: 18 for x264).")]
Preset = Annotated[str | None, typer.Option(help="The encoder's speed setting.")]
Lossless = Annotated[bool, typer.Option("--lossless", help="Keep source frames bit for bit.")]
EncoderOptions = Annotated[
    list[str] | None,
    typer.Option("--encoder-option", metavar="KEY=VALUE", help="A further encoder option; may be repeated."),
]
SceneThreshold = Annotated[
    float, typer.Option(help="Change in per cent of full scale from which two frames are a cut.")
]
NoSceneCuts = Annotated[bool, typer.Option("--no-scene-cuts", help="Look for no cuts; draw across all.")]
Repeats = Annotated[Duplicates, typer.Option("--duplicates", help="What to do about repeated frames.")]
CopiedStreams = Annotated[str, typer.Option("--streams", help="Audio and subtitles to copy: all, fitting or none.")]
Damage = Annotated[str, typer.Option("--damaged", help="What does not decode: refuse the video, or skip it.")]
InputRate = Annotated[str | None, typer.Option(help="Images a second, for a folder of images.")]


def retiming_of(factor: int | None, fps: str | None) -> Retiming:
    """Where output frames lie, from ``--factor`` and ``--fps``.

    Raises:
        UsageError: both are given, or one is no factor or rate.
    """
    if factor is not None and fps is not None:
        raise UsageError("--factor and --fps exclude each other; give one of the two")
    return ToRate(rate_of("--fps", fps)) if fps is not None else ByFactor(2 if factor is None else factor)


def rate_of(option: str, text: str) -> Fraction:
    """A frame rate.

    Raises:
        UsageError: `text` is none; the message names `option`.
    """
    try:
        return parse_rate(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from error


def choice_of(option: str, choices: type[ChoiceT], text: str) -> ChoiceT:
    """One of `choices`.

    Raises:
        UsageError: `text` is none of them; the message names `option`.
    """
    try:
        return choices(text)
    except ValueError as error:
        raise UsageError(f"{option}: expected {' or '.join(c.value for c in choices)}, got {text!r}") from error


def key_values(option: str, texts: Sequence[str], example: str) -> dict[str, str]:
    """Texts such as ``tune=animation`` as a dictionary.

    Raises:
        UsageError: one has another form; the message names `option` and `example`.
    """
    for text in texts:
        if not text.partition("=")[0] or "=" not in text:
            raise UsageError(f"{option}: expected KEY=VALUE such as {example}, got {text!r}")
    return dict(text.split("=", 1) for text in texts)


def numbers(option: str, texts: Sequence[str], example: str) -> dict[str, float]:
    """The same with numbers for values.

    Raises:
        UsageError: one has another form, or its value is no number.
    """
    return {name: _number(option, text, example) for name, text in key_values(option, texts, example).items()}


def _number(option: str, text: str, example: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UsageError(f"{option}: expected a number after '=' as in {example}, got {text!r}") from error
