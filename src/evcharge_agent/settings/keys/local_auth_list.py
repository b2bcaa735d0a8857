"""Configuration keys of the Local Auth List Management profile (OCPP 1.6, 9.2)."""

from evcharge_agent.settings.declare import Section
from evcharge_agent.settings.keys.declaring import RW, R, key

LIST_LENGTH = 1000
MESSAGE_LENGTH = 250
"""Entries that fit into a frame of 64 KiB with parent and expiry, and room to spare."""


class LocalAuthListKeys(Section):
    """Keys of the local authorisation list."""

    local_auth_list_enabled: bool = key(
        "LocalAuthListEnabled",
        RW,
        "Use the local authorisation list; false: it is kept, but neither asked nor changed.",
        default=True,
    )
    local_auth_list_max_length: int = key(
        "LocalAuthListMaxLength",
        R,
        "Entries the list may have; an update that would exceed it is refused whole.",
        default=LIST_LENGTH,
        ge=1,
        le=LIST_LENGTH,
    )
    send_local_list_max_length: int = key(
        "SendLocalListMaxLength",
        R,
        "Entries one SendLocalList may have.",
        default=MESSAGE_LENGTH,
        ge=1,
        le=MESSAGE_LENGTH,
    )
