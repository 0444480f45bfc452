"""How far a converted graph may be from the graph that it was made from."""

from __future__ import annotations

MIN_PSNR_DB = 50.0
"""The least PSNR of its frames against those in FP32, FP16 rounded as on a GPU.

The networks of the registry reach 58 dB or more with random weights, RIFE 4.25 with its trained ones 75; with flow and
sampling in FP16 as well, RIFE 4.25 falls to 44 on a clip 864 pixels wide. Where a network is 36 dB from the truth, an
error 50 dB down costs it 0.2 dB.
"""
