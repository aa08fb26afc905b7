"""Files of splats: the standard PLY in and out, and what viewers and browsers take, out."""
