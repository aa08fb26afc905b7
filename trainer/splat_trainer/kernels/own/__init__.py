"""Our own Triton kernels, compiled once into the cache and found there by Triton."""
