"""INT8: which layers, with which scales, at what cost, written as Q/DQ nodes."""
