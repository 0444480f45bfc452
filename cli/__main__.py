"""`python -m tweenrt.cli` is the same as `tweenrt`."""

from __future__ import annotations

from tweenrt.cli import main

main()
