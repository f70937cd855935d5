"""PyTorch on the CPU or a GPU, and the kernels that its plans call."""
