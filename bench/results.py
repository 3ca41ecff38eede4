"""All that was found, and the ratios of it."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.compare import Comparison
from bench.measure import Run
from bench.scenarios import Growth, Tail, Workers
from bench.stacks import OURS, Stack


@dataclass
class Ratio:
    """The median of rounds, with the least and the most of them."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.least:.2f} to {self.most:.2f})"


def ratio(values: Sequence[float]) -> Ratio:
    """Return the ratio of all rounds, given that of each."""
    return Ratio(statistics.median(values), min(values), max(values))


@dataclass
class Results:
    """What the parts of the benchmark found; a part that did not run found nothing.

    Attributes:
        skipped: a word for each stack that is missing.
    """

    compared: list[Stack]
    endpoints: list[str]
    clients: list[int]
    skipped: list[str] = field(default_factory=list)
    comparison: Comparison = field(default_factory=Comparison)
    starts: dict[str, list[float]] = field(default_factory=dict)
    trips: dict[tuple[str, str], float] = field(default_factory=dict)
    tails: dict[str, Tail] = field(default_factory=dict)
    workers: Workers | None = None
    growth: dict[str, list[Growth]] = field(default_factory=dict)

    @property
    def peers(self) -> list[Stack]:
        """The stacks that the service is compared with."""
        return [stack for stack in self.compared if stack != OURS]

    def median(self, stack: str, endpoint: str, clients: int, figure: Callable[[Run], float]) -> float | None:
        """Return a figure of a stack, the median of its rounds, or None where it did not run."""
        runs = self.comparison.runs.get((stack, endpoint, clients))
        return statistics.median(map(figure, runs)) if runs else None

    def against(self, peer: str, endpoint: str, clients: int, figure: Callable[[Run], float]) -> Ratio | None:
        """Return how many times the service's figure a peer's is, or None where either did not run."""
        theirs = self.comparison.runs.get((peer, endpoint, clients))
        ours = self.comparison.runs.get((OURS.name, endpoint, clients))
        if not theirs or not ours:
            return None
        return ratio([figure(one) / figure(other) for one, other in zip(theirs, ours, strict=True)])
