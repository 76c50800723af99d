"""Arithmetic, batches, and passes over a data set."""
