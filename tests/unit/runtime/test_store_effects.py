"""Commit effects on a real store."""

from evcharge_agent.core.effects import CommitSample, CommitStart, CommitStop, RememberAuthorisation
from evcharge_agent.core.events import CommitFailed, StartCommitted
from evcharge_agent.core.facts import AuthorizationStatus, IdTag, IdTagInfo
from evcharge_agent.runtime.inbox import Inbox
from evcharge_agent.runtime.store_effects import StoreEffects
from tests.unit.store.examples import inline_store, sample, start, stop

REMEMBER = RememberAuthorisation(IdTag("x"), IdTagInfo(AuthorizationStatus.ACCEPTED))


async def test_facts_are_kept_and_a_start_is_confirmed(tmp_path):
    store, inbox = inline_store(tmp_path), Inbox()
    effects = StoreEffects(store, inbox)
    await effects.commit_start(CommitStart(start()))
    assert await inbox.take() == StartCommitted(start().transaction)
    await effects.commit_sample(CommitSample(sample()))
    await effects.commit_sample(CommitSample(sample(None)))
    await effects.commit_stop(CommitStop(stop()))
    await effects.remember_authorisation(REMEMBER)
    assert store.outbox_size() == 3
    assert await store.authorisations() == {REMEMBER.id_tag: REMEMBER.info}
    # Committed before, perhaps by a COMMIT whose outcome was unknown: it is on the disk, so energy may flow.
    await effects.commit_start(CommitStart(start()))
    assert await inbox.take() == StartCommitted(start().transaction)
    store.close()


async def test_a_broken_disk_is_told_to_the_core(tmp_path, caplog):
    store, inbox = inline_store(tmp_path / "store"), Inbox()
    store._database.close()
    for path in (tmp_path / "store").iterdir():
        path.unlink()
    (tmp_path / "store").rmdir()
    (tmp_path / "store").write_text("in the way")
    effects = StoreEffects(store, inbox)
    await effects.commit_start(CommitStart(start()))
    await effects.commit_sample(CommitSample(sample()))
    await effects.commit_stop(CommitStop(stop()))
    failures = [await inbox.take() for _ in range(3)]
    assert all(isinstance(failure, CommitFailed) for failure in failures)
    assert [failure.is_start for failure in failures] == [True, False, False]
    assert "agent.db" in failures[0].reason
    await effects.remember_authorisation(REMEMBER)
    assert "could not be kept" in caplog.text
    store.close()
