"""The error for a file that gives no pixels, with its reason in one of a few fixed words."""


class Unreadable(ValueError):
    """The file gives no pixels. `reason` is one of a few fixed words, the message is the detail."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
