"""How Gaussians are added and removed while training: one strategy a file."""
