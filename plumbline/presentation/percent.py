"""A share in percent, as the figures, the report and the model card print it."""


def percent(share: float) -> str:
    """Return a share in percent, with one decimal; 100% only for exactly 1, and 0% only for exactly 0."""
    return f"{share:.0%}" if share in (0, 1) else f"{min(max(share, 0.001), 0.999):.1%}"
