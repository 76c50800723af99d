"""The model as torch.export's .pt2, which torch loads without this project's code, in Python and in C++."""

import io
import json

import torch

METADATA = "metadata.json"  # among the file's extra files


def torch_file(program: torch.export.ExportedProgram, description: dict[str, str]) -> bytes:
    """Return the file's bytes: the same program gives the same."""
    buffer = io.BytesIO()  # written to a path, the archive would hold the path's name
    torch.export.save(program, buffer, extra_files={METADATA: json.dumps(description, ensure_ascii=False)})
    return buffer.getvalue()
