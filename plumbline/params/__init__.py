"""The schema of params.yaml: one folder a section, so that a stage depends on those of its own sections alone."""
