"""Numbers as the page prints them."""

from typing import Any

from plumbline.presentation.percent import percent

NOTHING = "\N{EN DASH}"


def shown(value: Any) -> str:
    """Return a value as text: counts with thousands parted, other numbers with four digits, nothing as a dash."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{int(value):,}" if value == int(value) and abs(value) >= 1000 else f"{value:.4g}"
    return str(value)


def interval(low: float, high: float) -> str:
    """Return an interval of shares in percent."""
    return f"{percent(low)} to {percent(high)}"
