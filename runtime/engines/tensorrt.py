"""TensorRT and TensorRT-RTX behind one set of names: the one place that knows how their versions differ.

The Python packages ``tensorrt`` (10.3 to 11) and ``tensorrt_rtx`` (1.7 and later) have the same classes. What differs:
networks are always strongly typed since 11 and in RTX, and take a flag for it before; parsers prefer our plugins to the
bodies that graphs carry only if told so, and can be told so since 10.15; RTX builds for architectures by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from types import ModuleType
from typing import Any

from tweenrt.errors import BackendError, UsageError, require
from tweenrt.runtime.engines.listeners import Listeners


class Flavour(str, Enum):
    """Which TensorRT."""

    TENSORRT = "tensorrt"
    RTX = "tensorrt-rtx"


_MODULES = {Flavour.TENSORRT: "tensorrt", Flavour.RTX: "tensorrt_rtx"}
_OLDEST = {Flavour.TENSORRT: (10, 3), Flavour.RTX: (1, 7)}
_TYPED_BY_NATURE = 11  # major version from which networks have no other mode
_TOO_OLD = "Older ones know neither strongly typed networks nor the plugins we need; JetPack 6.1 and later bring 10.3"


@dataclass(frozen=True)
class TensorRT:
    """One installed flavour.

    Attributes:
        flavour: which.
        module: the Python package.
        version: as numbers, such as ``(10, 16, 2)``.
    """

    flavour: Flavour
    module: ModuleType
    version: tuple[int, ...]

    @property
    def title(self) -> str:
        """Flavour and version, such as ``tensorrt-rtx 1.7.1``."""
        return f"{self.flavour.value} {'.'.join(map(str, self.version))}"

    @property
    def overrides_bodies(self) -> bool:
        """Whether the parser can be told to take a plugin where the graph has a body for the same op.

        Where it cannot, bodies of the ops that plugins provide are removed before parsing.
        """
        return hasattr(self.module.OnnxParserFlag, "ENABLE_PLUGIN_OVERRIDE")

    @property
    def times_kernels(self) -> bool:
        """Whether a build tries kernels out, so that a timing cache shortens the next one; RTX does so when it runs."""
        return self.flavour is Flavour.TENSORRT

    def network(self, builder: Any) -> Any:
        """An empty strongly typed network: every tensor has the type that the graph gives it."""
        typed_by_nature = self.flavour is Flavour.RTX or self.version[0] >= _TYPED_BY_NATURE
        flag = 0 if typed_by_nature else 1 << int(self.module.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        return builder.create_network(flag)

    def parser(self, network: Any, logger: Any, *, prefer_plugins: bool) -> Any:
        """A parser into `network` that takes plugins before the bodies that a graph carries, or bodies only."""
        parser = self.module.OnnxParser(network, logger)
        if prefer_plugins and self.overrides_bodies:
            parser.set_flag(self.module.OnnxParserFlag.ENABLE_PLUGIN_OVERRIDE)
        return parser

    def set_targets(self, config: Any, targets: tuple[str, ...]) -> None:
        """Build for the architectures `targets`, such as ``sm86``, instead of for this machine's GPU.

        Raises:
            UsageError: this flavour builds only for the GPU it runs on, or does not know an architecture.
        """
        if not targets:
            return
        known = {name.lower(): value for name, value in self._capabilities().items() if name.startswith("SM")}
        unknown = [name for name in targets if name.lower() not in known]
        if not known:
            raise UsageError(
                f"{self.title} builds for the GPU of the machine it runs on; leave --target out and build there, or "
                "use --flavour tensorrt-rtx, which builds for desktop GPUs without one"
            )
        if unknown:
            raise UsageError(f"{self.title} has no target {', '.join(unknown)}; it has {', '.join(sorted(known))}")
        config.num_compute_capabilities = len(targets)
        for place, name in enumerate(targets):
            if not config.set_compute_capability(known[name.lower()], place):
                raise UsageError(f"{self.title} refuses the target {name}; leave it out")

    def set_portable(self, config: Any) -> None:
        """Build for every GPU since Ampere. TensorRT-RTX has no such setting: what it builds for no targets is so."""
        if self.flavour is not Flavour.RTX:
            config.hardware_compatibility_level = self.module.HardwareCompatibilityLevel.AMPERE_PLUS

    def context(self, engine: Any, compiled: bytes = b"") -> Any:
        """A new execution context of `engine`; None where TensorRT gives none.

        TensorRT-RTX compiles kernels for the GPU when a context is made; `compiled` is what an earlier one kept.
        """
        if self.flavour is not Flavour.RTX:
            return engine.create_execution_context()
        config = engine.create_runtime_config()
        # Every kernel is there before the first frame: one that is replaced while a video runs would not be in the CUDA
        # graphs that were captured before.
        config.dynamic_shapes_kernel_specialization_strategy = (
            self.module.DynamicShapesKernelSpecializationStrategy.EAGER
        )
        kernels = config.create_runtime_cache()
        if compiled:
            kernels.deserialize(compiled)
        config.set_runtime_cache(kernels)
        return engine.create_execution_context(config)

    def compiled_kernels(self, context: Any) -> bytes:
        """What TensorRT-RTX compiled for `context`, to be handed to the next one; nothing of other flavours."""
        if self.flavour is not Flavour.RTX:
            return b""
        return bytes(context.get_runtime_config().get_runtime_cache().serialize())

    @contextmanager
    def listening(self) -> Iterator[tuple[Any, Log]]:
        """Keep what TensorRT says meanwhile: (the logger to hand to TensorRT, what it was told).

        TensorRT keeps the first logger that a process gives it and ignores every later one, so there is one for all,
        and it passes on to whoever listens in the thread where it speaks.
        """
        logger, log = _logger(self.module), Log()
        with logger.kept.hears(log):
            yield logger, log

    def _capabilities(self) -> dict[str, Any]:
        kinds = getattr(self.module, "ComputeCapability", None)
        return dict(kinds.__members__) if kinds is not None else {}


@dataclass
class Log:
    """What TensorRT said while something was built or loaded.

    Attributes:
        errors: error messages, in order.
        warnings: warnings, in order.
        layers: the builder's list of the layers of the finished engine, one line each.
    """

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    layers: list[str] = field(default_factory=list)

    def keep(self, severity: int, message: str) -> None:
        """Sort in one message; `severity` counts from 0, an internal error, to 4, verbose."""
        if severity <= _ERROR:
            self.errors.append(message)
        elif severity == _WARNING:
            self.warnings.append(message)
        elif message.startswith("Layers:"):
            lines = message.split("\n\n")[0].splitlines()[1:]
            self.layers = [line for line in lines if line.startswith("Name: ")]


_ERROR, _WARNING = 1, 2


def open_tensorrt(flavour: Flavour) -> TensorRT:
    """The installed package of `flavour`.

    Raises:
        MissingExtraError: it is not installed.
        BackendError: it is too old for tweenrt.
    """
    name = _MODULES[flavour]
    module = require(name, extra=flavour.value, why=f"Building and running {flavour.value} engines")
    version = tuple(int(part) for part in re.findall(r"\d+", module.__version__)[:3])
    if version < _OLDEST[flavour]:
        oldest = ".".join(map(str, _OLDEST[flavour]))
        raise BackendError(f"expected {name} {oldest} or later, found {module.__version__}. {_TOO_OLD}")
    return TensorRT(flavour, module, version)


@cache
def _logger(module: ModuleType) -> Any:
    """The process's ``ILogger`` of `module`; its attribute ``kept`` passes on what is said."""

    class Logger(module.ILogger):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            module.ILogger.__init__(self)
            self.kept = Listeners()

        def log(self, severity: Any, message: str) -> None:
            """Called by TensorRT, from any thread."""
            self.kept.keep(int(severity), message)

    return Logger()
