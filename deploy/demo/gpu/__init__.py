"""`make gpu-demo`: the same story on a machine with an NVIDIA GPU and no registry at all.

The machine brings Python, PyTorch with CUDA, and the driver; everything else comes packed
from a machine that reaches the registries (`make gpu-pack`).
"""
