"""A graph that a server runs, as a session like any other."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from tweenrt.contract import PREFIX, GraphInfo, Kind
from tweenrt.errors import GraphError
from tweenrt.runtime.drawing import PairDrawer
from tweenrt.runtime.interpolator import Interpolator
from tweenrt.runtime.serving.endpoint import Endpoint
from tweenrt.runtime.session import OnCpu, Shape, Tensor

_OPEN = "?"


class ServerSession(OnCpu):
    """A `tweenrt.runtime.session.Session` on a model of an inference server that `tweenrt serve-repo` described.

    The newest version that the server offers is used, also after a newer one has come.

    Args:
        url: see `tweenrt.runtime.serving.endpoint.Endpoint`.
        model: its name on the server.
        timeout: seconds to wait for an answer.

    Raises:
        UsageError: the address is none, or the server has no such model.
        GraphError: the model does not say what it is.
        BackendError: the server does not answer.
    """

    def __init__(self, url: str, model: str, timeout: float) -> None:
        self._endpoint, self._model = Endpoint(url, timeout), model
        try:
            found = self._endpoint.metadata(model)
            self._version = max(found.get("versions", []), key=int, default="")
            self._parameters = self._endpoint.parameters(model, self._version)
            self.info = _info(self._parameters, url, model)
        except BaseException:
            self._endpoint.close()
            raise
        self.inputs: dict[str, Shape] = {value["name"]: _shape(value) for value in found["inputs"]}
        self.outputs: dict[str, Shape] = {value["name"]: _shape(value) for value in found["outputs"]}
        self.settings: dict[str, Shape] = {}

    @property
    def digest(self) -> str:
        """Names the graph on the server: what its configuration says, weights and file included."""
        ours = sorted(item for item in self._parameters.items() if item[0].startswith(PREFIX))
        return hashlib.sha256(repr(ours).encode()).hexdigest()

    def run(self, feeds: Mapping[str, Tensor], *, keep: bool = False) -> dict[str, Any]:  # noqa: ARG002
        """See `tweenrt.runtime.session.Session.run`."""
        arrays = {name: self.place(value) for name, value in feeds.items()}
        return self._endpoint.infer(self._model, self._version, arrays, self.outputs)

    def close(self) -> None:
        """See `tweenrt.runtime.session.Session.close`."""
        self._endpoint.close()


def interpolator_on(session: ServerSession, iterations: int = 2) -> Interpolator:
    """An interpolator whose network a server runs; padding and cropping stay here.

    Args:
        session: the model.
        iterations: runs for each frame, for [D,R] networks.

    Raises:
        GraphError: the model is a part of a network.
    """
    if session.info.kind is not Kind.PAIR:
        raise GraphError(
            f"expected a model that takes two frames, found the part {session.info.kind.value!r} of one; name the "
            "ensemble that `tweenrt serve-repo` wrote beside it"
        )
    return Interpolator(PairDrawer(session, 1, iterations))


def _info(parameters: Mapping[str, str], url: str, model: str) -> GraphInfo:
    if not any(name.startswith(PREFIX) for name in parameters):
        raise GraphError(
            f"{url}: expected a model that `tweenrt serve-repo` described, {model!r} has none of its parameters; "
            "write the model repository with that command"
        )
    return GraphInfo.from_metadata(parameters, f"{url}, model {model!r}")


def _shape(value: Mapping[str, Any]) -> Shape:
    """Sizes as numbers; open ones, which the protocol writes as -1, as a name."""
    sizes = [int(size) for size in value["shape"]]
    return tuple(_OPEN if size < 0 else size for size in sizes)
