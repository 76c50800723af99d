"""Name everything beside a file and the limits that its pixels follow from: this project's code, and Pillow.

The cache keeps images apart by it, and a Dask worker that was started from other code, or with another Pillow,
is noticed by it: its pixels would differ, and nothing else would say so.
"""

import functools
import hashlib
from pathlib import Path

import PIL

from plumbline.run.hashes import sha256_of

PROJECT = Path(__file__).parents[2]
DECODERS = (Path("plumbline/images/decoded.py"), Path("stages/prepare/decoding.py"))


@functools.cache  # what a process has imported stays as it is when its files change
def decoder_version() -> str:
    """Return a sha256, in hexadecimal, of Pillow's version and of the code that decodes."""
    made_by = [PIL.__version__, *(sha256_of(PROJECT / path) for path in DECODERS)]
    return hashlib.sha256("\n".join(made_by).encode()).hexdigest()
