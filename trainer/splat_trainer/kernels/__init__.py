"""The compiled CUDA kernels: how they are found, built and loaded."""
