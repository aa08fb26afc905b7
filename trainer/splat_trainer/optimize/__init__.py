"""Losses, optimizers, the schedule as data, and densification: one strategy a file."""
