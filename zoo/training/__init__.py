"""Training: the loop, its measurements, its checkpoints and its interruption."""
