"""Checks and figures that need a GPU: `python -m bench.gpu`."""
