"""Which StatusNotifications are owed to the central system (OCPP 1.6, 4.9 and rule 8). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from evcharge_agent.core.effects import ReportStatus

MAX_QUEUED = 64
"""Changes waiting while a call is outstanding; beyond that only the latest state of each connector counts."""


@dataclass(frozen=True, slots=True)
class StatusBook:
    """The latest state of every connector, what the central system knows, and what is on its way."""

    latest: Mapping[int, ReportStatus] = field(default_factory=dict)
    told: Mapping[int, ReportStatus] = field(default_factory=dict)
    queue: tuple[ReportStatus, ...] = ()

    def reported(self, report: ReportStatus, *, is_online: bool) -> "StatusBook":
        """Take in a report of the core; offline, only the latest one of each connector is kept."""
        last = self._last_queued(report.connector)
        book = replace(self, latest={**self.latest, report.connector: report})
        if not is_online or (last is not None and _is_same(last, report)):
            return book
        if len(self.queue) >= MAX_QUEUED:
            return book.went_online()
        return replace(book, queue=(*self.queue, report))

    def went_offline(self) -> "StatusBook":
        """Forget what was on its way: after an outage only the current state is sent."""
        return replace(self, queue=())

    def went_online(self) -> "StatusBook":
        """Owe the current state of each connector the central system does not know yet, 0 first."""
        owed = [report for _, report in sorted(self.latest.items()) if not self._is_told(report)]
        return replace(self, queue=tuple(owed))

    def delivered(self, report: ReportStatus) -> "StatusBook":
        """Take in that the first in the queue reached the central system."""
        queue = self.queue[1:] if self.queue and self.queue[0] is report else self.queue
        return replace(self, told={**self.told, report.connector: report}, queue=queue)

    def _is_told(self, report: ReportStatus) -> bool:
        told = self.told.get(report.connector)
        return told is not None and _is_same(told, report)

    def _last_queued(self, connector: int) -> ReportStatus | None:
        queued = [report for report in self.queue if report.connector == connector]
        return queued[-1] if queued else self.told.get(connector)


def _is_same(one: ReportStatus, other: ReportStatus) -> bool:
    """The moment alone is no change."""
    return replace(one, at=other.at) == other
