"""Where processes that run in another folder find the project."""

import os
from pathlib import Path

PROJECT = Path(__file__).parents[2]


def python_path(*before: Path) -> dict[str, str]:
    """Return PYTHONPATH, for a process's environment: these folders, the project, and what it names already."""
    paths = [*map(str, before), str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths)}
