"""What is observed, as immutable values: trainings, Jobs, pods, claims."""
