"""The parameters of a splat: initialisation, activations, transforms, PLY in and out."""
