"""Checks and errors that several sections share."""

from pydantic_core import PydanticCustomError

HOST_ALLOWED = "a host name whose parts between the dots have 1 to 63 characters, or an address"
_LONGEST_HOST = 253


def is_host(name: str) -> bool:
    """Tell whether a resolver can be asked for `name`: labels of 1 to 63 characters, none to steer a terminal with."""
    try:
        return name.isprintable() and 1 <= len(name.encode("idna")) <= _LONGEST_HOST
    except UnicodeError:
        return False


def misplaced(field: str, allowed: str) -> PydanticCustomError:
    """Build the error of a rule that spans fields, told as one of `field`."""
    return PydanticCustomError("cross_field", "{allowed}", {"allowed": allowed, "field": field})
