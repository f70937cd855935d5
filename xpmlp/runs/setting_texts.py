"""The settings of a run as people read them."""

from typing import Any

from xpmlp.runs.seed_summary import named_seeds

UNKNOWN = "–"


def setting_text(value: Any) -> str:
    """Return the value of a setting, or a list of seeds, as text."""
    if value is None:
        return UNKNOWN
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return named_seeds(value)
    if isinstance(value, tuple):
        return " ".join(map(setting_text, value)) or "none"
    return str(value)
