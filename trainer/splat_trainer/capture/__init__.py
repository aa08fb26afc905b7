"""Bytes to a scene: COLMAP models, cameras, images, undistortion, normalisation."""
