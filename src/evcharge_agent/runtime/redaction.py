"""What never reaches a log: secrets not at all, id tags only by their first characters. Pure."""

from collections.abc import Mapping, MutableMapping

REDACTED = "[redacted]"
_SHOWN_CHARACTERS = 4
_SECRETS = ("authorizationkey", "password", "token", "secret", "authorisations")
_ID_TAGS = ("idtag", "parentidtag")


def shorten_id_tag(id_tag: str) -> str:
    """Show the first four characters of a tag, of a short one no more than half."""
    return id_tag[: min(_SHOWN_CHARACTERS, len(id_tag) // 2)] + "…"


def redacted(name: str, value: object) -> object:
    """Return what may be shown of the value called `name`, looking into mappings and lists."""
    plain_name = name.replace("_", "").replace("-", "").lower()
    if value is None or isinstance(value, bool):
        return value
    if any(secret in plain_name for secret in _SECRETS):
        return REDACTED
    if plain_name.endswith(_ID_TAGS) and isinstance(value, str):
        return shorten_id_tag(value)
    if isinstance(value, Mapping):
        return {key: redacted(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted(name, item) for item in value]
    return value


def redact_event(_logger: object, _method: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
    """Processor for structlog: redact every field of a log event."""
    for name in event:
        event[name] = redacted(name, event[name])
    return event
