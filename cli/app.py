"""The verbs put together, and what becomes of an error: one block on stderr and an exit code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

import tweenrt
from tweenrt.cli.build import build
from tweenrt.cli.cache import cache
from tweenrt.cli.compare import compare
from tweenrt.cli.console import err, fail
from tweenrt.cli.convert import convert
from tweenrt.cli.distribute import distribute
from tweenrt.cli.doctor import doctor
from tweenrt.cli.estimate import estimate
from tweenrt.cli.evaluate import evaluate
from tweenrt.cli.export import export
from tweenrt.cli.interpolate import interpolate
from tweenrt.cli.models import models
from tweenrt.cli.profile import profile
from tweenrt.cli.quantize import quantize
from tweenrt.cli.serve_repo import serve_repo
from tweenrt.cli.verify import verify
from tweenrt.cli.weights import weights
from tweenrt.errors import TweenrtError

FAILED = 1
INTERRUPTED, TERMINATED = 130, 143

_EPILOG = (
    "Exit codes: 0 done, 1 the work failed, 2 wrong usage or input, 3 a quality or parity gate was not met, "
    "130 interrupted, 143 ended by SIGTERM. The environment variable TWEENRT_CACHE names another cache folder."
)
_EXAMPLES: dict[Callable[..., None], str] = {
    build: "tweenrt build rife.onnx -o rife.engine --size 768x1280",
    cache: "tweenrt cache list",
    compare: "tweenrt compare rife.onnx rife-fp16.onnx --frames clip.mp4 --min-psnr 50",
    convert: "tweenrt convert rife.onnx --precision fp16 -o rife-fp16.onnx --frames clip.mp4",
    distribute: "tweenrt distribute in.mp4 --out out.mp4 --model rife.onnx --workers 4",
    doctor: "tweenrt doctor",
    estimate: "tweenrt estimate rife-4.25 --device orin-agx --size 720x1280",
    evaluate: "tweenrt evaluate rife.onnx --dataset vimeo90k --root vimeo_triplet --json rife-vimeo90k.json",
    export: "tweenrt export rife-4.25 --size 768x1280 -o rife.onnx",
    interpolate: "tweenrt interpolate in.mp4 out.mp4 --model rife-4.25 --fps 60",
    models: "tweenrt models",
    profile: "tweenrt profile rife.onnx --size 720x1280 --html rife.html",
    quantize: "tweenrt quantize rife.onnx --frames clip.mp4 --max-drop-db 0.1 -o rife-int8.onnx",
    serve_repo: "tweenrt serve-repo rife.onnx --out model_repository",
    verify: "tweenrt verify rife.onnx",
    weights: "tweenrt weights rife-4.25",
}


class _Terminated(KeyboardInterrupt):
    """SIGTERM has come; what was begun is cleared away as after Ctrl-C."""


def terminate(*_: object) -> NoReturn:
    """End what is running; a handler for SIGTERM."""
    raise _Terminated


class _Verbs(TyperGroup):
    """Runs a verb and turns what it raises into a message and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            fail("interrupted; no unfinished output was left")
            raise typer.Exit(TERMINATED if isinstance(stop, _Terminated) else INTERRUPTED) from None
        except Exception as error:  # noqa: BLE001  (the last place where an error can be told to the user)
            code, message = _explain(error)
            if ctx.params["debug"]:
                err.print_exception()
            fail(message)
            raise typer.Exit(code) from None


def _explain(error: Exception) -> tuple[int, str]:
    """Exit code and message for what a verb raised; typer's own exceptions are raised again for typer."""
    if isinstance(error, TweenrtError):
        return error.exit_code, str(error)
    if isinstance(error, typer.Abort) or hasattr(error, "exit_code"):
        raise error
    if isinstance(error, OSError) and error.strerror:
        return FAILED, f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return FAILED, (
        f"a fault in tweenrt: {type(error).__name__}: {error}\n"
        "Please report it with what `tweenrt --debug` followed by the rest of this command prints"
    )


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tweenrt {tweenrt.__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=_Verbs,
    help="Video frame interpolation: from a trained checkpoint to ONNX and to smooth video.",
    epilog=_EPILOG,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the Python traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    del debug, version  # read by _Verbs and by the callback


for _verb, _example in _EXAMPLES.items():
    app.command(epilog=f"Example: {_example}")(_verb)


def options_by_verb() -> dict[str, set[str]]:
    """Every verb and its long options."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return {
        name: {option for parameter in verb.params for option in parameter.opts if option.startswith("--")}
        for name, verb in group.commands.items()
    }
