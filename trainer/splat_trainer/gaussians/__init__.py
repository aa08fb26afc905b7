"""The parameters of a splat: initialisation, activations, transforms, its files."""
