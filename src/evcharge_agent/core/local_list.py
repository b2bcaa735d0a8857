"""The local authorisation list and its versions (OCPP 1.6, 3.5.1 and 5.15; ocpp16.md rule 17). Pure.

An update is taken whole or not at all: whatever is wrong with it leaves list and version as they were.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from evcharge_agent.core.facts import IdTag, IdTagInfo
from evcharge_agent.core.rules import AuthorisationRules

NOT_SUPPORTED_VERSION = -1
"""What is told of the version while there is no list at all (OCPP 1.6, 5.10)."""
EMPTY_VERSION = 0
"""Version of an empty list, whatever was sent; no other list has it."""
MAX_ID_TAG_LENGTH = 20


class UpdateKind(enum.Enum):
    """How an update is meant; the values are OCPP's."""

    FULL = "Full"
    DIFFERENTIAL = "Differential"


class Refusal(enum.Enum):
    """Why an update was not taken; the values are OCPP's."""

    NOT_SUPPORTED = "NotSupported"
    VERSION_MISMATCH = "VersionMismatch"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class ListEntry:
    """One entry as it is kept."""

    id_tag: IdTag
    info: IdTagInfo


@dataclass(frozen=True, slots=True)
class ListVersion:
    """The version as it is kept, in the same write as the entries it belongs to."""

    version: int


@dataclass(frozen=True, slots=True)
class LocalList:
    """A list and its version."""

    version: int = EMPTY_VERSION
    entries: Mapping[IdTag, IdTagInfo] = field(default_factory=dict)
    """By id in upper case."""


@dataclass(frozen=True, slots=True)
class Update:
    """SendLocalList as it came."""

    kind: UpdateKind
    version: int
    entries: tuple[tuple[IdTag, IdTagInfo | None], ...] = ()
    """Without idTagInfo a Differential removes the entry."""


@dataclass(frozen=True, slots=True)
class Change:
    """What an update makes of a list, as a whole and as what has to be written."""

    result: LocalList
    put: Mapping[IdTag, IdTagInfo]
    removed: frozenset[IdTag]
    is_whole: bool


def decide(current: LocalList, update: Update, rules: AuthorisationRules) -> Change | Refusal:
    """Decide an update; the lengths are those of `SendLocalListMaxLength` and `LocalAuthListMaxLength`."""
    if not rules.uses_local_list:
        return Refusal.NOT_SUPPORTED
    keys = [id_tag.upper() for id_tag, _ in update.entries]
    is_sound = all(0 < len(key) <= MAX_ID_TAG_LENGTH for key in keys) and len(set(keys)) == len(keys)
    if not is_sound or len(keys) > rules.send_local_list_max_length:
        return Refusal.FAILED
    change = _replace(update) if update.kind is UpdateKind.FULL else _amend(current, update)
    if isinstance(change, Change) and len(change.result.entries) > rules.local_auth_list_max_length:
        return Refusal.FAILED
    return change


def told_version(current: LocalList, rules: AuthorisationRules) -> int:
    """Answer GetLocalListVersion (OCPP 1.6, 5.10)."""
    return current.version if rules.uses_local_list else NOT_SUPPORTED_VERSION


def _replace(update: Update) -> Change | Refusal:
    """Full: what is sent is the list. An empty one clears it at any version."""
    entries = {IdTag(id_tag.upper()): info for id_tag, info in update.entries if info is not None}
    # An entry without idTagInfo has nothing to say in a whole list (OCPP 1.6, 7.2), and versions below 1 are reserved.
    if len(entries) < len(update.entries) or (entries and update.version <= EMPTY_VERSION):
        return Refusal.FAILED
    return Change(_versioned(update.version, entries), entries, frozenset(), is_whole=True)


def _amend(current: LocalList, update: Update) -> Change | Refusal:
    """Differential: an entry with idTagInfo is put, one without is removed; only a later version may."""
    if update.version <= current.version:
        return Refusal.VERSION_MISMATCH
    put = {IdTag(id_tag.upper()): info for id_tag, info in update.entries if info is not None}
    removed = frozenset(IdTag(id_tag.upper()) for id_tag, info in update.entries if info is None)
    entries = {key: info for key, info in current.entries.items() if key not in removed} | put
    return Change(_versioned(update.version, entries), put, removed, is_whole=False)


def _versioned(version: int, entries: Mapping[IdTag, IdTagInfo]) -> LocalList:
    return LocalList(version if entries else EMPTY_VERSION, entries)


# --- as it is kept ----------------------------------------------------------------------------------------

_VERSION_NAME = "version"
_ENTRY_PREFIX = "id:"
Kept = ListEntry | ListVersion


def to_keep(change: Change) -> tuple[dict[str, Kept], frozenset[str]]:
    """Names and values to write, and names to remove."""
    put: dict[str, Kept] = {_ENTRY_PREFIX + key: ListEntry(key, info) for key, info in change.put.items()}
    put[_VERSION_NAME] = ListVersion(change.result.version)
    return put, frozenset(_ENTRY_PREFIX + key for key in change.removed)


def from_kept(kept: Mapping[str, Kept]) -> LocalList:
    """Read what was written; without its version a list is worth nothing, for no update would fit it."""
    entries = {IdTag(one.id_tag.upper()): one.info for one in kept.values() if isinstance(one, ListEntry)}
    version = kept.get(_VERSION_NAME)
    if not isinstance(version, ListVersion) or version.version <= EMPTY_VERSION:
        return LocalList()
    return _versioned(version.version, entries)
