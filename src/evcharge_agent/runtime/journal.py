"""What the loop needs of a log; `logs.StructuredJournal` is the real one, tests keep a list."""

from typing import Protocol

from evcharge_agent.core.effects import Note


class Journal(Protocol):
    """Where notes and bugs go."""

    def note(self, note: Note) -> None:
        """Write one note of the core."""
        ...

    def bug(self, doing: str, subject: object, error: BaseException) -> None:
        """Write down an error that only a mistake of ours can cause, with what was being worked on."""
        ...
