"""One interface, two rasterizers: gsplat on CUDA and a reference in pure PyTorch."""
