"""A splat in programs that are not ours."""
