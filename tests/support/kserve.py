"""A server of the KServe v2 protocol for tests: a model repository, run by ONNX Runtime, over HTTP or gRPC.

It reads ``config.pbtxt`` as Triton does, holds every request against it, and runs ensembles step by step. It neither
puts requests together nor watches the folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from urllib.parse import unquote

import grpc
import numpy as np
import onnxruntime
from google.protobuf import json_format, text_format
from numpy.typing import NDArray
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc
from tritonclient.utils import triton_to_np_dtype

Arrays = dict[str, NDArray[Any]]


def read_config(model: Path) -> Any:
    """The ``ModelConfig`` of a model's folder; fails where the file does not fit Triton's schema."""
    return text_format.Parse((model / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())


class Refused(Exception):  # noqa: N818
    """What the client is told."""


class Repository:
    """The models of a folder.

    Attributes:
        requests: how many have been answered.
        failures: how many of the next requests are answered with an error.
    """

    def __init__(self, folder: Path) -> None:
        self._configs = {path.name: read_config(path) for path in folder.iterdir() if not path.name.startswith(".")}
        self._versions = {n: sorted((folder / n).glob("[0-9]*"), key=lambda p: int(p.name)) for n in self._configs}
        self._sessions = {
            name: onnxruntime.InferenceSession(str(versions[-1] / "model.onnx"))
            for name, versions in self._versions.items()
            if self._configs[name].backend == "onnxruntime"
        }
        self._lock = Lock()
        self.requests = self.failures = 0

    def config(self, name: str) -> Any:
        if name not in self._configs:
            raise Refused(f"Request for unknown model: '{name}' is not found")
        return self._configs[name]

    def metadata(self, name: str) -> dict[str, Any]:
        config = self.config(name)
        ports = {
            side: [{"name": p.name, "datatype": _type(p), "shape": _shape(config, p)} for p in listed]
            for side, listed in (("inputs", config.input), ("outputs", config.output))
        }
        versions = [path.name for path in self._versions[name]]
        return {"name": name, "versions": versions, "platform": config.platform or config.backend, **ports}

    def infer(self, name: str, feeds: Arrays) -> Arrays:
        """A request of a client."""
        with self._lock:
            self.requests += 1
            fails, self.failures = self.failures > 0, max(0, self.failures - 1)
        if fails:
            raise Refused("the server is going down")
        return self._run(name, feeds)

    def _run(self, name: str, feeds: Arrays) -> Arrays:
        config = self.config(name)
        self._check(config, feeds)
        if not config.HasField("ensemble_scheduling"):
            outputs = [port.name for port in config.output]
            return dict(zip(outputs, self._sessions[name].run(outputs, feeds), strict=True))
        tensors = dict(feeds)
        for step in config.ensemble_scheduling.step:
            found = self._run(step.model_name, {own: tensors[theirs] for own, theirs in step.input_map.items()})
            tensors |= {theirs: found[own] for own, theirs in step.output_map.items()}
        return {port.name: tensors[port.name] for port in config.output}

    def _check(self, config: Any, feeds: Arrays) -> None:
        expected = {port.name: port for port in config.input}
        if set(feeds) != set(expected):
            raise Refused(f"expected the inputs {sorted(expected)}, got {sorted(feeds)}")
        for name, array in feeds.items():
            shape = _shape(config, expected[name])
            fits = len(shape) == array.ndim and all(w in (-1, g) for w, g in zip(shape, array.shape, strict=True))
            if not fits or array.dtype != triton_to_np_dtype(_type(expected[name])):
                raise Refused(f"unexpected shape or type for input '{name}': {array.shape} {array.dtype}")
            if config.max_batch_size and array.shape[0] > config.max_batch_size:
                raise Refused(f"inference request batch-size must be <= {config.max_batch_size}")


@contextmanager
def serve_http(repository: Repository, port: int = 0) -> Iterator[str]:
    """Answer over HTTP while the block runs; gives the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            name, verb = _path(self.path)
            self._answer(lambda: _plain(repository, name, verb))

        def do_POST(self) -> None:
            name, _ = _path(self.path)
            body = self.rfile.read(int(self.headers["Content-Length"]))
            head = int(self.headers["Inference-Header-Content-Length"])
            self._answer(lambda: _binary(repository, name, json.loads(body[:head]), body[head:]))

        def _answer(self, make: Any) -> None:
            try:
                status, (head, tail) = 200, make()
            except Refused as error:
                status, head, tail = 400, json.dumps({"error": str(error)}).encode(), b""
            self.send_response(status)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Inference-Header-Content-Length", str(len(head)))
            self.send_header("Content-Length", str(len(head) + len(tail)))
            self.end_headers()
            self.wfile.write(head + tail)

        def log_message(self, *_: object) -> None:
            """Stay quiet."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def serve_grpc(repository: Repository) -> Iterator[str]:
    """Answer over gRPC while the block runs; gives the address."""
    unlimited = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(4), options=unlimited)
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(_Servicer(repository), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"grpc://127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


class _Servicer(service_pb2_grpc.GRPCInferenceServiceServicer):
    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def ModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        found = self._guarded(context, lambda: self._repository.metadata(request.name))
        return json_format.ParseDict(found, service_pb2.ModelMetadataResponse())

    def ModelConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        config = self._guarded(context, lambda: self._repository.config(request.name))
        return service_pb2.ModelConfigResponse(config=config)

    def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802
        feeds = {
            given.name: np.frombuffer(raw, triton_to_np_dtype(given.datatype)).reshape(list(given.shape))
            for given, raw in zip(request.inputs, request.raw_input_contents, strict=True)
        }
        found = self._guarded(context, lambda: self._repository.infer(request.model_name, feeds))
        types = _types(self._repository, request.model_name)
        answer = service_pb2.ModelInferResponse(model_name=request.model_name, model_version=request.model_version)
        for wanted in request.outputs:
            array = found[wanted.name]
            answer.outputs.add(name=wanted.name, datatype=types[wanted.name], shape=array.shape)
            answer.raw_output_contents.append(array.tobytes())
        return answer

    def _guarded(self, context: Any, ask: Any) -> Any:
        try:
            return ask()
        except Refused as error:
            code = grpc.StatusCode.NOT_FOUND if "unknown model" in str(error) else grpc.StatusCode.UNAVAILABLE
            context.abort(code, str(error))


def _path(path: str) -> tuple[str, str]:
    """``/v2/models/NAME[/versions/V][/VERB]`` → name, verb."""
    parts = [unquote(part) for part in path.split("/")]
    assert parts[1:3] == ["v2", "models"], path
    rest = parts[6:] if parts[4:5] == ["versions"] else parts[4:]
    return parts[3], rest[0] if rest else ""


def _plain(repository: Repository, name: str, verb: str) -> tuple[bytes, bytes]:
    if verb == "config":
        config = json_format.MessageToDict(repository.config(name), preserving_proto_field_name=True)
        return json.dumps(config).encode(), b""
    return json.dumps(repository.metadata(name)).encode(), b""


def _binary(repository: Repository, name: str, request: Mapping[str, Any], tail: bytes) -> tuple[bytes, bytes]:
    feeds, start = {}, 0
    for given in request["inputs"]:
        end = start + given["parameters"]["binary_data_size"]
        feeds[given["name"]] = np.frombuffer(tail[start:end], triton_to_np_dtype(given["datatype"])).reshape(
            given["shape"]
        )
        start = end
    assert start == len(tail)
    found, types, outputs, content = repository.infer(name, feeds), _types(repository, name), [], b""
    for wanted in request["outputs"]:
        array, size = found[wanted["name"]], {"binary_data_size": found[wanted["name"]].nbytes}
        assert wanted["parameters"]["binary_data"]
        outputs.append(
            {"name": wanted["name"], "datatype": types[wanted["name"]], "shape": array.shape, "parameters": size}
        )
        content += array.tobytes()
    return json.dumps({"model_name": name, "model_version": "1", "outputs": outputs}).encode(), content


def _type(port: Any) -> str:
    return str(model_config_pb2.DataType.Name(port.data_type).removeprefix("TYPE_"))


def _types(repository: Repository, name: str) -> dict[str, str]:
    return {port.name: _type(port) for port in repository.config(name).output}


def _shape(config: Any, port: Any) -> list[int]:
    return [-1, *port.dims] if config.max_batch_size else list(port.dims)
