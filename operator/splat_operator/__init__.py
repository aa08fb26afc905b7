"""A Kubernetes operator for trainings of 3D Gaussian splats."""
