"""A model's ``config.pbtxt``, as Triton reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tweenrt.errors import UsageError, require
from tweenrt.runtime.serving.served import OPEN, Port, Served, ServedBy

NAME = "config.pbtxt"
_EXTRA, _WHY = "triton", "Writing a model repository"


@dataclass(frozen=True)
class ServingOptions:
    """How models are served.

    Attributes:
        max_batch: most requests that are put together, where the graph leaves N open; 1 puts none together.
        delay: microseconds that a request waits for others to be put together with.
        instances: copies of each model that run at the same time, on each GPU.
        gpus: which GPUs; empty leaves the choice to the server.

    Raises:
        UsageError: a number is below what makes sense.
    """

    max_batch: int = 8
    delay: int = 1000
    instances: int = 1
    gpus: Sequence[int] = ()

    def __post_init__(self) -> None:
        if self.max_batch < 1 or self.instances < 1 or self.delay < 0 or any(gpu < 0 for gpu in self.gpus):
            raise UsageError(
                f"expected a batch and instances of 1 or more, and a delay and GPUs of 0 or more, got {self}"
            )


def config_text(model: Served, options: ServingOptions) -> str:
    """The file's text.

    Raises:
        MissingExtraError: the package ``tritonclient`` is not installed.
    """
    text: str = require("google.protobuf.text_format", extra=_EXTRA, why=_WHY).MessageToString(_config(model, options))
    return text


def expect_same_form(model: Served, options: ServingOptions, path: Path) -> None:
    """Refuse a new version of a model whose inputs or outputs differ from those in the file at `path`.

    Raises:
        UsageError: they do, or there is no such file.
    """
    other = "choose another file name, which names the model, or another repository"
    text_format = require("google.protobuf.text_format", extra=_EXTRA, why=_WHY)
    try:
        found = text_format.Parse(path.read_text(encoding="utf-8"), _proto().ModelConfig())
    except (OSError, text_format.ParseError) as error:
        raise UsageError(f"{path}: expected the configuration of an earlier version ({error}); {other}") from error
    wanted = _config(model, options)
    before, now = (_form(config) for config in (found, wanted))
    if before != now:
        raise UsageError(f"{path}: a version of this model is served with {before}, the new one has {now}; {other}")


def _config(model: Served, options: ServingOptions) -> Any:
    proto = _proto()
    batch = min(options.max_batch, model.most or options.max_batch) if model.batches else 0
    config = proto.ModelConfig(name=model.name, max_batch_size=batch)
    if model.by is ServedBy.ENSEMBLE:
        config.platform = model.by.value
    else:
        config.backend = model.by.value
    for ports, listed, kind in (
        (model.inputs, config.input, proto.ModelInput),
        (model.outputs, config.output, proto.ModelOutput),
    ):
        listed.extend(_described(proto, kind, port, batched=batch > 0) for port in ports)
    for name, value in model.parameters.items():
        config.parameters[name].string_value = value
    if model.by is ServedBy.ENSEMBLE:
        _add_steps(proto, config, model)
    else:
        _add_instances(proto, config, model, options)
        if batch > 1:
            config.dynamic_batching.max_queue_delay_microseconds = options.delay
    return config


def _described(proto: Any, kind: Any, port: Port, *, batched: bool) -> Any:
    return kind(
        name=port.name,
        data_type=proto.DataType.Value(f"TYPE_{port.type}"),
        dims=port.axes[1:] if batched else port.axes,
    )


def _add_instances(proto: Any, config: Any, model: Served, options: ServingOptions) -> None:
    group = config.instance_group.add(count=options.instances, gpus=options.gpus)
    on_gpu = bool(options.gpus) or model.by is ServedBy.TENSORRT
    group.kind = proto.ModelInstanceGroup.Kind.KIND_GPU if on_gpu else proto.ModelInstanceGroup.Kind.KIND_AUTO
    if model.profiles > 1:
        group.profile.extend(str(number) for number in range(model.profiles))


def _add_steps(proto: Any, config: Any, model: Served) -> None:
    for step in model.steps:
        config.ensemble_scheduling.step.append(
            proto.ModelEnsembling.Step(
                model_name=step.model, model_version=OPEN, input_map=step.inputs, output_map=step.outputs
            )
        )


def _form(config: Any) -> str:
    """Inputs and outputs in words."""
    ports = (f"{port.name} {port.data_type} {list(port.dims)}" for port in (*config.input, *config.output))
    return f"{config.backend or config.platform}, {', '.join(ports)}"


def _proto() -> Any:
    return require("tritonclient.grpc.model_config_pb2", extra=_EXTRA, why=_WHY)
