"""The lookup that RAFT-like networks make in a correlation volume: a window around every pixel's match."""
