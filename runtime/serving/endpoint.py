"""A model on a server that speaks the KServe v2 protocol, over HTTP or gRPC.

Source: the Open Inference Protocol (KServe v2) with Triton's extensions for binary tensors and model configuration,
spoken by NVIDIA's package ``tritonclient``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from types import ModuleType
from typing import Any, Protocol
from urllib.parse import urlsplit

from tweenrt.errors import BackendError, UsageError, require
from tweenrt.runtime.session import Array

_EXTRA, _WHY = "triton", "Talking to an inference server"
_NOT_FOUND = {"404", "StatusCode.NOT_FOUND"}


class Scheme(str, Enum):
    """How a server is spoken to."""

    HTTP = "http"
    HTTPS = "https"
    GRPC = "grpc"
    GRPCS = "grpcs"

    @property
    def encrypted(self) -> bool:
        """Whether the connection is."""
        return self in {Scheme.HTTPS, Scheme.GRPCS}


class _Client(Protocol):
    """What both protocols can do, with plain Python values."""

    def metadata(self, model: str) -> Mapping[str, Any]:
        """The model's inputs, outputs and versions."""

    def config(self, model: str, version: str) -> Mapping[str, Any]:
        """The model's configuration, with `model_config.proto`'s names."""

    def infer(
        self, model: str, version: str, feeds: Mapping[str, Array], outputs: Iterable[str]
    ) -> dict[str, Array | None]:
        """Run the model once."""

    def close(self) -> None:
        """End the connection."""


class Endpoint:
    """One connection to a server. Not for several threads at once.

    Args:
        url: such as ``http://host:8000`` or ``grpc://host:8001``; ``https`` and ``grpcs`` are encrypted.
        timeout: seconds to wait for an answer.

    Raises:
        UsageError: the address is none.
        MissingExtraError: the package ``tritonclient`` is not installed.
    """

    def __init__(self, url: str, timeout: float) -> None:
        self.url = url
        parts = urlsplit(url)
        if parts.scheme not in {scheme.value for scheme in Scheme} or not parts.netloc:
            raise UsageError(
                f"expected the address of a server such as http://host:8000 or grpc://host:8001, got {url!r}"
            )
        scheme = Scheme(parts.scheme)
        kind = _HttpClient if scheme in {Scheme.HTTP, Scheme.HTTPS} else _GrpcClient
        self._client: _Client = kind(parts.netloc + parts.path.rstrip("/"), timeout, encrypted=scheme.encrypted)

    def metadata(self, model: str) -> Mapping[str, Any]:
        """Versions, inputs and outputs of a model.

        Raises:
            UsageError: the server has no such model.
            BackendError: the server does not answer.
        """
        found: Mapping[str, Any] = self._asked(model, lambda: self._client.metadata(model))
        return found

    def parameters(self, model: str, version: str) -> dict[str, str]:
        """The free parameters in a model's configuration.

        Raises:
            UsageError: the server has no such model.
            BackendError: the server does not answer.
        """
        config = self._asked(model, lambda: self._client.config(model, version))
        return {name: value.get("string_value", "") for name, value in config.get("parameters", {}).items()}

    def infer(self, model: str, version: str, feeds: Mapping[str, Array], outputs: Iterable[str]) -> dict[str, Array]:
        """Run a model once.

        Args:
            model: its name.
            version: its version; empty for the server's choice.
            feeds: an array for every input.
            outputs: names of the wanted outputs.

        Returns:
            Output name → array.

        Raises:
            UsageError: the server has no such model.
            BackendError: the server does not answer, or the model failed.
        """
        found = self._asked(model, lambda: self._client.infer(model, version, feeds, outputs))
        missing = [name for name, value in found.items() if value is None]
        if missing:
            raise BackendError(f"{self.url}: the answer of model {model!r} lacks {', '.join(missing)}")
        return {name: value for name, value in found.items() if value is not None}

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def _asked(self, model: str, ask: Any) -> Any:
        try:
            return ask()
        except Exception as error:  # the client's errors, the system's and its transport's share no base class
            status = str(getattr(error, "status", lambda: "")())
            said = " ".join(str(error).split()) or type(error).__name__
            if status in _NOT_FOUND or "unknown model" in said:
                raise UsageError(f"{self.url}: the server has no model {model!r} ({said}); check --model") from error
            raise BackendError(f"{self.url}: model {model!r} gave no answer: {said}") from error


class _HttpClient:
    def __init__(self, host: str, timeout: float, *, encrypted: bool) -> None:
        self._http = require("tritonclient.http", extra=_EXTRA, why=_WHY)
        self._client = self._http.InferenceServerClient(
            host, connection_timeout=timeout, network_timeout=timeout, ssl=encrypted
        )

    def metadata(self, model: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._client.get_model_metadata(model)
        return found

    def config(self, model: str, version: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._client.get_model_config(model, version)
        return found

    def infer(
        self, model: str, version: str, feeds: Mapping[str, Array], outputs: Iterable[str]
    ) -> dict[str, Array | None]:
        wanted = [self._http.InferRequestedOutput(name, binary_data=True) for name in outputs]
        result = self._client.infer(model, _inputs(self._http, feeds), version, wanted)
        return {output.name(): result.as_numpy(output.name()) for output in wanted}

    def close(self) -> None:
        self._client.close()


class _GrpcClient:
    def __init__(self, host: str, timeout: float, *, encrypted: bool) -> None:
        self._grpc = require("tritonclient.grpc", extra=_EXTRA, why=_WHY)
        self._timeout = timeout
        self._client = self._grpc.InferenceServerClient(host, ssl=encrypted)

    def metadata(self, model: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._client.get_model_metadata(model, as_json=True, client_timeout=self._timeout)
        return found

    def config(self, model: str, version: str) -> Mapping[str, Any]:
        found = self._client.get_model_config(model, version, as_json=True, client_timeout=self._timeout)
        config: Mapping[str, Any] = found["config"]
        return config

    def infer(
        self, model: str, version: str, feeds: Mapping[str, Array], outputs: Iterable[str]
    ) -> dict[str, Array | None]:
        wanted = [self._grpc.InferRequestedOutput(name) for name in outputs]
        inputs = _inputs(self._grpc, feeds)
        result = self._client.infer(model, inputs, version, wanted, client_timeout=self._timeout)
        return {output.name(): result.as_numpy(output.name()) for output in wanted}

    def close(self) -> None:
        self._client.close()


def _inputs(module: ModuleType, feeds: Mapping[str, Array]) -> list[Any]:
    names = require("tritonclient.utils", extra=_EXTRA, why=_WHY)
    found = []
    for name, array in feeds.items():
        given = module.InferInput(name, list(array.shape), names.np_to_triton_dtype(array.dtype))
        given.set_data_from_numpy(array)
        found.append(given)
    return found
