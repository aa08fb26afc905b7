"""The loop that joins capture, rasterizer and optimizer; checkpoints; evaluation."""
