"""CuPy on a GPU: its generated kernels, its products by cuBLAS, and how it is installed."""
