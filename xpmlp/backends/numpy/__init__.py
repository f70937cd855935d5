"""NumPy on the CPU, and the kernels that its plans call."""
