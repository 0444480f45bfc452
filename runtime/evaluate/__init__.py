"""Networks on the datasets of the field, measured as its papers do.

`benchmarks.open_series` finds a dataset's samples, `run.evaluate` draws and measures them, `record.Record` keeps the
rows, `summary.summarise` takes their means.
"""
