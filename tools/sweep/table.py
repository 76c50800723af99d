"""Print a sweep as text or Markdown."""

import pandas as pd

from plumbline.run.dotted_keys import written
from plumbline.run.errors import one_line
from tools.sweep.experiments import Sweep, stated


def as_text(sweep: Sweep, differing: list[str], *, markdown: bool) -> str:
    """Return the finished experiments, the best first, with the parameters that differ, then the unfinished ones."""
    best_first = sorted(sweep.experiments, key=lambda own: (-own.accuracy, own.name))
    rows = [
        {
            "experiment": one_line(own.name),
            f"{sweep.split} accuracy": f"{own.accuracy:.4f}",
            f"{sweep.confidence:.0%} interval": f"{own.low:.4f} to {own.high:.4f}",
        }
        | {key: one_line(written(own.params.get(key))) for key in differing}
        for own in best_first
    ]
    frame = pd.DataFrame(rows)
    table = frame.to_markdown(index=False, disable_numparse=True) if markdown else frame.to_string(index=False)
    missing = f"Not among them: {one_line(stated(sweep.unfinished))}" if sweep.unfinished else ""
    return "\n\n".join(part for part in (table, missing) if part)
