"""The stages of the pipeline, one script each; dvc.yaml runs them as `python -m stages.<name>`."""
