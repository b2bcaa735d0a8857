"""Commit effects on a real store."""

import asyncio

from evcharge_agent.core.effects import (
    Answer,
    CommitSample,
    CommitStart,
    CommitStop,
    FinishStop,
    ForgetAuthorisations,
    KeepRegister,
    RememberAuthorisation,
    RememberAvailability,
)
from evcharge_agent.core.events import AvailabilityKept, CacheClearRequested, CommitFailed, RequestId, StartCommitted
from evcharge_agent.core.facts import AuthorizationStatus, IdTag, IdTagInfo
from evcharge_agent.runtime.inbox import Inbox
from evcharge_agent.runtime.store_effects import StoreEffects
from evcharge_hal.contract.units import WattHours
from tests.unit.store.examples import at, end_sample, inline_store, sample, start, stop

FINISH = FinishStop(stop().transaction, WattHours(2008), at(104.0), end_sample(moment=at(104.0), energy_wh=2008))
KEEP = KeepRegister(start().transaction, WattHours(1700), at(90.0))
REMEMBER = RememberAuthorisation(IdTag("x"), IdTagInfo(AuthorizationStatus.ACCEPTED))


async def test_facts_are_kept_and_a_start_is_confirmed(tmp_path):
    store, inbox = inline_store(tmp_path), Inbox()
    effects = StoreEffects(store, inbox)
    await effects.commit_start(CommitStart(start()))
    assert await inbox.take() == StartCommitted(start().transaction)
    await effects.commit_sample(CommitSample(sample()))
    await effects.commit_sample(CommitSample(sample(None)))
    await effects.keep_register(KEEP)
    (running,) = await store.open_transactions()
    assert (running.last_energy_wh, running.last_energy_at) == (1700, at(90.0))
    await effects.commit_stop(CommitStop(stop(), end_sample(), is_held=True))
    assert store.outbox_size() == 2
    await effects.finish_stop(FINISH)
    assert store.outbox_size() == 4
    (row,) = await store.sessions(1)
    assert row.stop == stop(meter_stop_wh=2008, moment=at(104.0))
    await effects.remember_authorisation(REMEMBER)
    assert await store.authorisations() == {REMEMBER.id_tag: REMEMBER.info}
    assert await cleared(effects, inbox) == Answer("inbox-1", is_accepted=True)
    assert await store.authorisations() == {}
    for inoperative in (frozenset({1, 2}), frozenset({0})):
        await effects.remember_availability(RememberAvailability(inoperative, RequestId("r")))
        assert await inbox.take() == AvailabilityKept(is_kept=True, request=RequestId("r"))
        assert await store.inoperative() == inoperative
    # Committed before, perhaps by a COMMIT whose outcome was unknown: it is on the disk, so energy may flow.
    await effects.commit_start(CommitStart(start()))
    assert await inbox.take() == StartCommitted(start().transaction)
    store.close()


async def cleared(effects, inbox):
    """Ask for a clear cache as the central system does; the answer to it."""
    asked = asyncio.create_task(inbox.ask(CacheClearRequested))
    request = (await inbox.take()).request
    await effects.forget_authorisations(ForgetAuthorisations(request))
    return await asked


async def test_a_broken_disk_is_told_to_the_core(tmp_path, caplog):
    store, inbox = inline_store(tmp_path / "store"), Inbox()
    store._writer.close()
    for path in (tmp_path / "store").iterdir():
        path.unlink()
    (tmp_path / "store").rmdir()
    (tmp_path / "store").write_text("in the way")
    effects = StoreEffects(store, inbox)
    await effects.commit_start(CommitStart(start()))
    await effects.commit_sample(CommitSample(sample()))
    await effects.commit_stop(CommitStop(stop()))
    await effects.finish_stop(FINISH)
    await effects.keep_register(KEEP)
    failures = [await inbox.take() for _ in range(5)]
    assert all(isinstance(failure, CommitFailed) for failure in failures)
    assert [failure.is_start for failure in failures] == [True, False, False, False, False]
    assert "agent.db" in failures[0].reason
    await effects.remember_authorisation(REMEMBER)
    assert "could not be kept" in caplog.text
    assert await cleared(effects, inbox) == Answer("inbox-1", is_accepted=False, reason="storage_failed")
    await effects.remember_availability(RememberAvailability(frozenset({1}), RequestId("r")))
    assert "out of service could not be kept" in caplog.text
    assert await inbox.take() == AvailabilityKept(is_kept=False, request=RequestId("r"))
    store.close()
