"""Sets of message numbers, and how many bytes of parts may be under way."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from math import inf


class NumberRanges:
    """Whole numbers as ranges (from, to), in order; none touches the next."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, int]] = []

    def __bool__(self) -> bool:
        return bool(self._rows)

    def add(self, first: int, last: int) -> None:
        rows = self._rows
        begin = bisect_left(rows, (first, first))
        if begin and rows[begin - 1][1] >= first - 1:
            begin -= 1
        end = begin
        while end < len(rows) and rows[end][0] <= last + 1:
            first, last = min(first, rows[end][0]), max(last, rows[end][1])
            end += 1
        rows[begin:end] = [(first, last)]

    def __contains__(self, number: int) -> bool:
        after = bisect_left(self._rows, (number + 1, 0))
        return after > 0 and self._rows[after - 1][1] >= number

    def after(self, done: int) -> list[tuple[int, int]]:
        """Those beyond ``done``."""
        return [(max(first, done + 1), last) for first, last in self._rows if last > done]

    def advance(self, done: int) -> int:
        """Removes what follows ``done`` without a hole; returns the last of it."""
        while self._rows and self._rows[0][0] <= done + 1:
            done = max(done, self._rows.pop(0)[1])
        return done


#: Bytes of parts under way at first, at least and at most; and by how much their way may take longer than the quickest did.
FIRST, LEAST, MOST = 65_536, 16_384, 4 * 1024 * 1024
SHORT, LONG = 0.25, 1.0


class PartWindow:
    """
    How many bytes of parts may be under way, found from how long they take: on a thin line little enough that an urgent message soon passes, on a
    wide one as much as the peer's window (as LEDBAT, RFC 6817, finds its rate).
    """

    def __init__(self) -> None:
        self._window: float = FIRST
        self._written = 0
        self._told = 0
        self._least = inf
        self._shrunk_at = 0
        self._most: float = FIRST
        self._marks: "deque[tuple[int, float]]" = deque()

    @property
    def full(self) -> bool:
        return self._written - self._told >= self._window

    def wrote(self, count: int, now: float, most: int) -> None:
        self._most = min(most, MOST)
        self._written += count
        self._marks.append((self._written, now))

    def told(self, count: int, now: float = inf) -> None:
        """The peer has so many bytes more; ``inf`` when the time says nothing."""
        self._told += count
        sent = None
        while self._marks and self._marks[0][0] <= self._told:
            sent = self._marks.popleft()[1]
        if sent is None or now == inf:
            return
        delay = now - sent
        self._least = min(self._least, delay)
        if delay <= self._least + SHORT:
            self._window = min(self._most, self._window + count)
        elif delay > self._least + LONG and self._told >= self._shrunk_at:
            self._window = max(LEAST, self._window / 2)
            self._shrunk_at = self._written
