"""Who may charge: local list, cache, central system, offline rules. Pure; ids are compared without case.

The list beats the cache: of an id that is listed the cache knows nothing (ocpp16.md rule 17).
"""

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from evcharge_agent.core.facts import AuthorizationStatus, IdTag, IdTagInfo, Instant, key_of, same_id
from evcharge_agent.core.reasons import Reason
from evcharge_agent.core.rules import Rules, StandAlone
from evcharge_agent.core.state import CentralSystem, State, Transaction

AUTHORISATIONS_KEPT = 1000
"""Entries of the authorisation cache, here and in the store."""


class Ask(enum.Enum):
    """The verdict is the central system's."""

    CENTRAL_SYSTEM = "central_system"


@dataclass(frozen=True, slots=True)
class Accepted:
    """May charge."""

    info: IdTagInfo


@dataclass(frozen=True, slots=True)
class Refused:
    """May not charge."""

    reason: Reason


Verdict = Accepted | Refused

_REFUSALS: Mapping[AuthorizationStatus, Reason] = {
    AuthorizationStatus.BLOCKED: Reason.ID_BLOCKED,
    AuthorizationStatus.EXPIRED: Reason.ID_EXPIRED,
    AuthorizationStatus.INVALID: Reason.ID_INVALID,
    AuthorizationStatus.CONCURRENT_TX: Reason.ID_CONCURRENT,
}


def believed_utc_s(now: Instant) -> float:
    """Read the time expiry dates are compared with: while it is not known nothing has expired.

    A clock that is wrong must lock nobody out; the central system has the last word at StartTransaction.
    """
    return now.utc_s if now.is_utc_trusted else -math.inf


def decide_claim(known: IdTagInfo | None, rules: Rules, central: CentralSystem, utc_s: float) -> Verdict | Ask:
    """Decide an id that was presented to start; `known` is what list or cache say of it.

    With a central system that can be reached it is asked, unless LocalPreAuthorize lets an accepted entry
    answer; a refusal in list or cache never answers in its place, for the central system may have changed
    its mind.
    """
    if not (central.is_connected and central.is_accepted):
        return decide_offline(known, rules, utc_s)
    if rules.authorisation.local_pre_authorize and known is not None and is_accepted(known, utc_s):
        return Accepted(known)
    return Ask.CENTRAL_SYSTEM


def decide_stand_alone(id_tag: IdTag, listed: IdTagInfo | None, rules: Rules, utc_s: float) -> Verdict:
    """Decide an id while there is no central system at all (CHG-2): every card, or those that are known here."""
    is_by_list = rules.site.stand_alone is StandAlone.LOCAL_LIST
    if not is_by_list or key_of(id_tag) in rules.site.stand_alone_ids:
        return Accepted(IdTagInfo(AuthorizationStatus.ACCEPTED))
    return Refused(Reason.ID_INVALID) if listed is None else judge(listed, utc_s)


def decide_offline(known: IdTagInfo | None, rules: Rules, utc_s: float) -> Verdict:
    """Decide without the central system (LocalAuthorizeOffline, AllowOfflineTxForUnknownId).

    AllowOfflineTxForUnknownId speaks of ids of which nothing is known; one that is known and not accepted
    stays refused.
    """
    if known is None:
        if rules.authorisation.allow_offline_tx_for_unknown_id:
            return Accepted(IdTagInfo(AuthorizationStatus.ACCEPTED))
        return Refused(Reason.ID_UNKNOWN_OFFLINE)
    verdict = judge(known, utc_s)
    if isinstance(verdict, Accepted) and not rules.authorisation.local_authorize_offline:
        return Refused(Reason.ID_UNKNOWN_OFFLINE)
    return verdict


def judge(info: IdTagInfo, utc_s: float) -> Verdict:
    """Read a verdict; one whose expiry has passed is expired, whatever it says."""
    if info.status is AuthorizationStatus.ACCEPTED:
        return Accepted(info) if is_accepted(info, utc_s) else Refused(Reason.ID_EXPIRED)
    return Refused(_REFUSALS[info.status])


def is_accepted(info: IdTagInfo, utc_s: float) -> bool:
    """Accepted and not expired."""
    is_expired = info.expiry_utc_s is not None and info.expiry_utc_s <= utc_s
    return info.status is AuthorizationStatus.ACCEPTED and not is_expired


def find_known(state: State, id_tag: IdTag, rules: Rules) -> IdTagInfo | None:
    """What is known here of an id: the local list's word, else the cache's."""
    listed = find_listed(state, id_tag, rules)
    return listed if listed is not None else look_up(state.authorisations, id_tag, rules)


def find_listed(state: State, id_tag: IdTag, rules: Rules) -> IdTagInfo | None:
    """The local list's word; a list that is switched off says nothing."""
    return state.listed.current.entries.get(key_of(id_tag)) if rules.authorisation.uses_local_list else None


def is_conflict(listed: IdTagInfo, told: IdTagInfo, utc_s: float) -> bool:
    """The central system accepts whom the list refuses, or the other way round (LocalListConflict).

    ConcurrentTx speaks of the moment, not of the id.
    """
    is_of_the_moment = told.status is AuthorizationStatus.CONCURRENT_TX
    return not is_of_the_moment and is_accepted(listed, utc_s) is not is_accepted(told, utc_s)


def look_up(authorisations: Mapping[IdTag, IdTagInfo], id_tag: IdTag, rules: Rules) -> IdTagInfo | None:
    """The cached verdict; a cache that is switched off knows nothing."""
    return authorisations.get(key_of(id_tag)) if rules.authorisation.authorization_cache_enabled else None


def is_cacheable(info: IdTagInfo, rules: Rules) -> bool:
    """Worth keeping. ConcurrentTx speaks of a moment, not of the id, so it replaces nothing."""
    return rules.authorisation.authorization_cache_enabled and info.status is not AuthorizationStatus.CONCURRENT_TX


def learn(authorisations: Mapping[IdTag, IdTagInfo], id_tag: IdTag, info: IdTagInfo) -> Mapping[IdTag, IdTagInfo]:
    """The cache with a verdict more, newest last; the one that was learned longest ago makes room."""
    key = key_of(id_tag)
    if authorisations.get(key) == info:
        return authorisations
    others = [(known, verdict) for known, verdict in authorisations.items() if known != key]
    return dict([*others, (key, info)][-AUTHORISATIONS_KEPT:])


def may_stop(id_tag: IdTag, info: IdTagInfo | None, transaction: Transaction) -> bool:
    """The same id stops, and so does one with the same parent (ocpp16.md rule 5); a stranger's does not."""
    if same_id(id_tag, transaction.start.id_tag):
        return True
    parent = _parent(transaction.info)
    return parent is not None and info is not None and same_id(parent, _parent(info))


def might_stop(id_tag: IdTag, info: IdTagInfo | None, transaction: Transaction) -> bool:
    """Only the central system can tell whether this id has the transaction's parent."""
    is_parent_unknown = info is None or _parent(info) is None
    is_stranger = not same_id(id_tag, transaction.start.id_tag)
    return is_stranger and _parent(transaction.info) is not None and is_parent_unknown


def merge(old: IdTagInfo, new: IdTagInfo) -> IdTagInfo:
    """A later verdict on the same id; an answer without parent does not take the known one away."""
    return replace(new, parent_id_tag=new.parent_id_tag or old.parent_id_tag)


def _parent(info: IdTagInfo) -> IdTag | None:
    """The parent id; an empty one, as earlier versions stored it, is none, or every card had the same."""
    return info.parent_id_tag or None
