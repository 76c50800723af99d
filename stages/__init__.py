"""The stages of the pipeline, one folder each; dvc.yaml runs them as `python -m stages.<name>`."""

import os

# Threads that wait sleep, where OpenMP would have them spin and take the processor from whatever else runs. It changes
# no result. Measured in benchmarks/README.md, "Beside other work".
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
