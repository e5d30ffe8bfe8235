"""Runs of a job: each claim begins one, and its token `claims.nonce.position` starts with the run's number."""

from __future__ import annotations


def run_number(token: str) -> int:
    """The number of the run to which a token belongs; 0 for what is no token.

    >>> run_number("12.9f3c.1"), run_number("nonsense"), run_number("")
    (12, 0, 0)
    """
    number = token.partition(".")[0]
    return int(number) if number.isascii() and number.isdigit() and len(number) <= 18 else 0


class LatestRun:
    """Tells what the latest run of a job says from what an older one, whose machine was lost, still says."""

    def __init__(self) -> None:
        self.number = 0

    def is_older(self, token: str) -> bool:
        """Whether a newer run has been heard already, or the token is none."""
        return run_number(token) < max(self.number, 1)

    def begins_with(self, token: str) -> bool:
        """Whether this is the first word of a newer run; from now on, older ones are known as such."""
        number = run_number(token)
        if number <= self.number:
            return False
        self.number = number
        return True
