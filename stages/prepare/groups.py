"""Find the group of each file, such as a patient or a day, in its path: images of one group stay in one split."""

import json
import subprocess
import sys

from plumbline.run.errors import UserError
from stages.prepare.class_names import canonical

SEARCH_SECONDS = 60
SEARCH = """
import json, re, sys
pattern, names = json.load(sys.stdin)
matches = (re.search(pattern, name) for name in names)
json.dump([match and match.group(1) for match in matches], sys.stdout)
"""


def groups_of(names: list[str], pattern: str | None) -> dict[str, str | None]:
    """Return the text that the regular expression's group matches in each file's name, or None.

    Python's regular expressions cannot be interrupted everywhere, so another process searches: some patterns take
    for ever. Raises UserError for such a pattern, and for one that matches no name.
    """
    if pattern is None or not names:
        return dict.fromkeys(names)
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", SEARCH],
            input=json.dumps([pattern, [canonical(name) for name in names]]),
            capture_output=True,
            text=True,
            timeout=SEARCH_SECONDS,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise UserError(
            f"data.groups: {pattern!r} takes more than {SEARCH_SECONDS} s on {len(names)} paths: write it without one "
            "repetition in another, such as (a+)+"
        ) from None
    groups = dict(zip(names, json.loads(done.stdout), strict=True))
    if not any(groups.values()):
        raise UserError(
            f"data.groups: {pattern!r} matches none of the {len(names)} paths in the data set, such as {names[0]!r}: "
            "make it match, also in upper and lower case, or set it to null"
        )
    return {name: group or None for name, group in groups.items()}
