"""Observers of a training: a bar on a terminal, JSON lines, a file, an HTTPS address."""
