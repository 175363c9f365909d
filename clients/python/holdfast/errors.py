"""What cannot be done, as both clients say it."""

from __future__ import annotations


class HoldfastError(Exception):
    """Something that cannot be done. ``code`` is stable (docs/reference/errors.md), the message is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
