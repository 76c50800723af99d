"""The curvature stage: how sharply the training loss of the run at hand is curved where training starts."""
