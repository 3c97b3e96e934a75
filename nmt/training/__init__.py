"""Training with Lightning: loss, optimiser, and the thin glue around the model."""
