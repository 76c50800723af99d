"""Tools that are no stages: `python -m tools.<name>`, each with --help."""
