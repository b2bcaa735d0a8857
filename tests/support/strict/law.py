"""A law is a pure function of the trace that yields what breaks it; its docstring says what it demands."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from tests.support.strict.expectations import Expectations
from tests.support.strict.trace import Trace

Finding = tuple[float, str]
"""When, and what."""
Law = Callable[[Trace, Expectations], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Violation:
    """One breach of one law."""

    law: str
    at_s: float
    what: str

    def __str__(self) -> str:
        return f"{self.law} at {self.at_s:.2f}: {self.what}"


def judge(trace: Trace, expectations: Expectations, laws: Iterable[Law], first: Iterable[Law] = ()) -> list[Violation]:
    """Everything that breaks one of the laws, but for those waived.

    Laws under `first` say whether the trace can be read at all; where one of them is broken the others are not asked.
    """
    found = _findings(trace, expectations, first) or _findings(trace, expectations, laws)
    return sorted(found, key=lambda violation: violation.at_s)


def _findings(trace: Trace, expectations: Expectations, laws: Iterable[Law]) -> list[Violation]:
    return [
        Violation(law.__name__, at_s, what)
        for law in laws
        if law.__name__ not in expectations.waived
        for at_s, what in law(trace, expectations)
    ]
