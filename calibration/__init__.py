"""Frames to ranges to Q/DQ: which layers keep which precision, and why."""
