"""Carries the core's durable facts to the store and the store's word back to the core."""

import logging

from evcharge_agent.core.effects import (
    Answer,
    CommitSample,
    CommitStart,
    CommitStop,
    FinishStop,
    ForgetAuthorisations,
    Keep,
    KeepRegister,
    RememberAuthorisation,
    RememberAvailability,
)
from evcharge_agent.core.events import AvailabilityKept, CommitFailed, Kept, StartCommitted
from evcharge_agent.core.facts import TransactionKey
from evcharge_agent.core.reasons import Reason
from evcharge_agent.runtime.inbox import Inbox
from evcharge_agent.runtime.shelves import encode
from evcharge_agent.store.errors import StoreError
from evcharge_agent.store.store import Store

_log = logging.getLogger(__name__)


class StoreEffects:
    """Handlers of the commit effects and of `RememberAuthorisation`, in the shape `EffectHandlers` wants.

    A sample outside a transaction is not the store's: the caller of `commit_sample` sends it or drops it.
    """

    def __init__(self, store: Store, inbox: Inbox) -> None:
        self._store = store
        self._inbox = inbox

    async def commit_start(self, effect: CommitStart) -> None:
        """Write the start; energy may flow once the core hears `StartCommitted`."""
        transaction = effect.start.transaction
        try:
            await self._store.commit_start(effect.start)
        except StoreError as error:
            self._inbox.post(CommitFailed(transaction, is_start=True, reason=error.reason))
        else:
            self._inbox.post(StartCommitted(transaction))

    async def commit_stop(self, effect: CommitStop) -> None:
        """Write the stop."""
        try:
            await self._store.commit_stop(effect.stop, end=effect.end, is_held=effect.is_held)
        except StoreError as error:
            self._failed(effect.stop.transaction, error)

    async def finish_stop(self, effect: FinishStop) -> None:
        """Let a held stop go out."""
        try:
            await self._store.finish_stop(effect.transaction, effect.meter_stop_wh, effect.stopped, effect.end)
        except StoreError as error:
            self._failed(effect.transaction, error)

    async def commit_sample(self, effect: CommitSample) -> None:
        """Write a sample of a transaction."""
        transaction = effect.sample.transaction
        if transaction is None:
            return
        try:
            await self._store.commit_sample(effect.sample)
        except StoreError as error:
            self._failed(transaction, error)

    async def keep_register(self, effect: KeepRegister) -> None:
        """Write the register of a running transaction."""
        try:
            await self._store.keep_register(effect.transaction, effect.energy_wh, effect.at)
        except StoreError as error:
            self._failed(effect.transaction, error)

    async def remember_authorisation(self, effect: RememberAuthorisation) -> None:
        """Keep a verdict; losing one costs a question to the central system, so it is only logged."""
        try:
            await self._store.remember_authorisation(effect.id_tag, effect.info)
        except StoreError as error:
            _log.warning("An authorisation could not be kept: %s", error.reason)

    async def forget_authorisations(self, effect: ForgetAuthorisations) -> None:
        """Drop all verdicts; those that stay on a broken disk come back with the next start, so that is a refusal."""
        try:
            await self._store.forget_authorisations()
        except StoreError as error:
            _log.error("The authorisation cache could not be cleared on the disk: %s", error.reason)
            self._inbox.settle(Answer(effect.request, is_accepted=False, reason=Reason.STORAGE_FAILED.value))
        else:
            self._inbox.settle(Answer(effect.request, is_accepted=True))

    async def keep(self, effect: Keep) -> None:
        """Write to a shelf."""
        put = {name: encode(effect.shelf, value) for name, value in effect.put.items()}
        try:
            await self._store.keep(effect.shelf.value, put, effect.remove, is_whole=effect.is_whole)
        except StoreError as error:
            _log.error("%s could not be written: %s", effect.shelf.value, error.reason)
            self._inbox.post(Kept(effect.shelf, is_kept=False, request=effect.request))
        else:
            self._inbox.post(Kept(effect.shelf, is_kept=True, request=effect.request))

    async def remember_availability(self, effect: RememberAvailability) -> None:
        """Keep what is ordered out of service."""
        try:
            await self._store.remember_availability(effect.inoperative)
        except StoreError as error:
            _log.error("What is out of service could not be kept: %s", error.reason)
            self._inbox.post(AvailabilityKept(is_kept=False, request=effect.request))
        else:
            self._inbox.post(AvailabilityKept(is_kept=True, request=effect.request))

    def _failed(self, transaction: TransactionKey, error: StoreError) -> None:
        self._inbox.post(CommitFailed(transaction, is_start=False, reason=error.reason))
