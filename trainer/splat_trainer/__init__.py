"""A trainer of 3D Gaussian splats on nerfstudio's gsplat."""
