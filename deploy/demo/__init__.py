"""`make demo`: from a bare machine to a splat, through a real cluster, saying each step."""
