"""Errors that name what was wrong and what would have been right."""


class EvchargeError(Exception):
    """Base of all errors this project raises on purpose; its text is fit for a user."""


class InvalidFieldError(EvchargeError):
    """A value from outside does not fit its field.

    `path` is dotted (`connector[0].max_a`), `allowed` says in words what would be accepted.
    """

    def __init__(self, path: str, value: object, allowed: str, nearest: str | None = None) -> None:
        super().__init__(path, value, allowed, nearest)
        self.path = path
        self.value = value
        self.allowed = allowed
        self.nearest = nearest

    def __str__(self) -> str:
        hint = f"; did you mean '{self.nearest}'?" if self.nearest else ""
        return f"{self.path} = {_shown(self.value)}: allowed: {self.allowed}{hint}"


class ProtocolError(EvchargeError):
    """Bytes or messages from a peer that break the protocol; the peer's fault, never ours."""


_SHOWN_LENGTH = 80


def _shown(value: object) -> str:
    """Show a hostile value briefly and on one line."""
    text = repr(value)
    return text if len(text) <= _SHOWN_LENGTH else text[:_SHOWN_LENGTH] + "…"
