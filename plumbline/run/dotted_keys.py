"""Parameters by their dotted names, as in params.yaml and in DVC, to be shown."""

from typing import Any

from plumbline.run.addresses import without_secrets


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested parameters by their dotted names: section.key. Addresses come without their secrets."""
    parameters: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            parameters |= flat(value, f"{prefix}{key}.")
        else:
            parameters[f"{prefix}{key}"] = without_secrets(value) if isinstance(value, str) else value
    return parameters


def written(value: Any) -> str:
    """Return a parameter's value as it stands in params.yaml."""
    words = {None: "null", True: "true", False: "false"}
    return words[value] if value is None or isinstance(value, bool) else str(value)
