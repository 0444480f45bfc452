"""The command line: one file a verb, no logic."""

from __future__ import annotations

import signal


def main() -> None:
    """Run the command line and leave the process with its exit code; see `tweenrt --help`."""
    from tweenrt.cli.app import app, terminate

    signal.signal(signal.SIGTERM, terminate)
    app(prog_name="tweenrt")


def commands() -> dict[str, set[str]]:
    """Every verb and its long options, such as ``{"models": {"--json"}}``."""
    from tweenrt.cli.app import options_by_verb

    return options_by_verb()


__all__ = ["commands", "main"]
