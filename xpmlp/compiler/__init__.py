"""A step as it is written becomes calls: recorded, rewritten, grouped, planned, written as CUDA."""
