"""Durations as people write them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Optional, Union

from .errors import HoldfastError

#: Seconds, a timedelta, or text such as "250ms", "5s", "10m", "2h", "7d".
Duration = Union[int, float, timedelta, str]

_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def milliseconds(value: Duration, name: str) -> int:
    """Whole milliseconds of a duration. Raises UNIT_INVALID."""
    ms: Optional[float] = None
    if isinstance(value, timedelta):
        ms = value.total_seconds() * 1000
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        ms = value * 1000
    elif isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)(ms|s|m|h|d)\s*", value)
        if match:
            ms = float(match[1]) * _UNITS[match[2]]
    if ms is None or not 0 <= ms <= 9e12:
        raise HoldfastError("UNIT_INVALID", f"Cannot read {name}: {value!r} is no duration; write seconds, '250ms', '5s', '10m', '2h' or '7d'")
    return round(ms)
