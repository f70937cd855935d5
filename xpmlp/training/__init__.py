"""Joins mathematics, optimisers, backends and data into runs."""
