"""The stages of the pipeline, one folder each; dvc.yaml runs them as `python -m stages.<name>`."""
