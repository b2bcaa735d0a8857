"""What was before comes back only while the new has not worked; certificates are renewed with patience."""

import asyncio

import pytest
from ocpp.v16 import call_result
from ocpp.v16.enums import GenericStatus

from evcharge_agent.ocpp16.errors import CallRefusedError, LinkClosedError
from evcharge_agent.ocpp16.security.attempts import Attempts
from evcharge_agent.ocpp16.security.memory import LinkMemory, Trial
from evcharge_agent.ocpp16.security.moments import DISAGREE_FROM_S, PLAUSIBLE_FOR_S, RELEASED_UTC_S, Moments
from evcharge_agent.ocpp16.security.renewal import ANEW_AFTER_S, REPEATS, WAIT_S, Renewal
from evcharge_agent.runtime.clock import Clock
from evcharge_agent.store.errors import StoreError
from tests.support.virtual_time import run_virtual

DAY_S = 86_400.0


class Shelf:
    """A shelf in memory."""

    def __init__(self):
        self.texts = {}
        self.is_broken = False

    async def keep(self, shelf, put, remove=(), *, is_whole=False):
        if self.is_broken:
            raise StoreError("full")
        self.texts |= put
        for name in remove:
            self.texts.pop(name, None)

    async def kept(self, shelf):
        return dict(self.texts)


# --- attempts ---------------------------------------------------------------------------------------------


def test_new_and_old_profile_take_turns():
    attempts, turns = Attempts(), []
    for _ in range(8):
        turns.append(attempts.is_old_profile_due)
        attempts = attempts.failed()
    assert turns == [False, False, False, True] * 2


def test_what_refused_takes_turns_with_what_was_before():
    assert not Attempts().is_old_key_due
    assert Attempts().failed(key=True).is_old_key_due
    assert not Attempts().failed(key=True).failed(key=True).is_old_key_due
    assert not Attempts().failed(server=True).is_old_key_due
    assert [Attempts(untrusted=number).trust_index(2) for number in range(4)] == [0, 1, 0, 1]
    assert [Attempts(refused_certificates=number).certificate_index(3) for number in range(4)] == [0, 1, 2, 0]


# --- memory -----------------------------------------------------------------------------------------------


async def test_a_trial_is_one_only_of_the_profile_in_force():
    shelf = Shelf()
    memory = LinkMemory(shelf)
    await memory.load()
    await memory.begin_trial(1, 2)
    again = LinkMemory(shelf)
    await again.load()
    assert again.trial(2) == Trial(1, 2)
    # The power went between the trial's record and the change itself; or the installer changed it again.
    assert again.trial(1) is None
    assert again.trial(3) is None
    await again.end_trial()
    assert shelf.texts == {}


@pytest.mark.parametrize("text", ["", "{", "[]", "[1]", "[2,2]", "[3,2]", '["1",2]', "[-1,2]", "null"])
async def test_a_damaged_record_is_no_trial(text):
    shelf = Shelf()
    shelf.texts["profile_trial"] = text
    memory = LinkMemory(shelf)
    await memory.load()
    assert memory.trial(2) is None


async def test_what_must_last_is_refused_when_it_cannot():
    shelf = Shelf()
    memory = LinkMemory(shelf)
    await memory.load()
    shelf.is_broken = True
    with pytest.raises(StoreError):
        await memory.begin_trial(1, 2)
    with pytest.raises(StoreError):
        await memory.remember_key("k")
    assert (memory.trial(2), memory.key_before) == (None, None)
    await memory.note_installed_root()
    assert memory.has_installed_root_worked


async def test_a_way_back_that_is_over_is_forgotten_on_the_disk_too_once_it_works_again():
    """Otherwise a power cut would open the old profile to whoever blocks the new one."""
    shelf = Shelf()
    memory = LinkMemory(shelf)
    await memory.load()
    await memory.begin_trial(1, 2)
    await memory.remember_key("k" * 16)
    shelf.is_broken = True
    await memory.end_trial()
    await memory.forget_key()
    assert (memory.trial(2), memory.key_before) == (None, None)
    assert set(shelf.texts) == {"profile_trial", "key_before"}
    shelf.is_broken = False
    await memory.end_trial()  # as with every connection that succeeds
    assert shelf.texts == {}


async def test_a_new_trial_is_not_forgotten_with_an_old_one():
    shelf = Shelf()
    memory = LinkMemory(shelf)
    await memory.load()
    await memory.begin_trial(1, 2)
    shelf.is_broken = True
    await memory.end_trial()
    shelf.is_broken = False
    await memory.begin_trial(2, 3)
    await memory.forget_key()
    assert memory.trial(3) == Trial(2, 3)
    assert set(shelf.texts) == {"profile_trial"}


# --- moments ----------------------------------------------------------------------------------------------


def moments_at(utc_s, known_utc_s=0.0, learned_utc_s=None):
    clock = Clock(lambda: 1000.0, lambda: utc_s)
    shelf = Shelf()
    shelf.texts["known_utc_s"] = str(known_utc_s)
    memory = LinkMemory(shelf)
    asyncio.run(memory.load())
    moments = Moments(clock, memory)
    if learned_utc_s is not None:
        clock.learn_utc(learned_utc_s)
    return moments


NOW = RELEASED_UTC_S + 100 * DAY_S


@pytest.mark.parametrize(
    ("clock_utc_s", "known_utc_s", "best_utc_s"),
    [
        (0.0, 0.0, RELEASED_UTC_S),
        (0.0, NOW, NOW),
        (NOW, 0.0, NOW),
        (NOW + 2 * PLAUSIBLE_FOR_S, 0.0, RELEASED_UTC_S),
    ],
)
def test_a_clock_nobody_vouches_for_counts_when_it_is_later_than_what_is_past(clock_utc_s, known_utc_s, best_utc_s):
    moments = moments_at(clock_utc_s, known_utc_s)
    assert moments.now_utc_s() == best_utc_s
    assert moments.within(best_utc_s - DAY_S, best_utc_s + DAY_S) == (best_utc_s,)
    assert moments.within(best_utc_s + DAY_S, best_utc_s + 2 * DAY_S) == (best_utc_s + DAY_S,)
    assert moments.within(best_utc_s - 2 * DAY_S, best_utc_s - DAY_S) == ()


def test_a_clock_somebody_vouches_for_is_believed():
    moments = moments_at(0.0, learned_utc_s=NOW)
    assert moments.within(NOW - DAY_S, NOW + DAY_S) == (NOW,)
    assert moments.within(NOW + DAY_S, NOW + 2 * DAY_S) == ()
    assert moments.within(NOW - 2 * DAY_S, NOW - DAY_S) == ()


def test_where_two_good_clocks_disagree_either_may_be_right():
    wrong = NOW + 365 * DAY_S
    moments = moments_at(NOW, learned_utc_s=wrong)
    assert moments.within(NOW - DAY_S, NOW + DAY_S) == (NOW,)
    assert moments.within(wrong - DAY_S, wrong + DAY_S) == (wrong,)
    near = moments_at(NOW, learned_utc_s=NOW + DISAGREE_FROM_S / 2)
    assert near.within(NOW - 1.0, NOW + 1.0) == ()


# --- renewal ----------------------------------------------------------------------------------------------


class Own:
    """Certificates that need renewal as told."""

    def __init__(self, *, is_due=False):
        self.is_due = is_due
        self.requests = 0
        self.numbers = []

    def request(self):
        self.requests += 1
        return f"csr {self.requests}"

    def is_renewal_due(self):
        return self.is_due

    def candidates(self):
        return tuple(type("Files", (), {"number": number}) for number in self.numbers)

    def next_change_utc_s(self):
        return None

    def prune(self):
        pass


class Line:
    """Takes requests and answers as told."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.sent = []

    async def ready(self):
        pass

    async def call(self, payload, message_id=None):
        self.sent.append((asyncio.get_running_loop().time(), payload.csr))
        outcome = self.outcomes.pop(0) if self.outcomes else GenericStatus.accepted
        if isinstance(outcome, Exception):
            raise outcome
        return call_result.SignCertificate(status=outcome)


def renewing(test, own, line, *, is_wanted=True):
    async def main():
        reconnects = []
        moments = Moments(Clock(asyncio.get_running_loop().time, lambda: NOW), LinkMemory())
        renewal = Renewal(
            own, line, moments, is_wanted=lambda: is_wanted, in_use=lambda: None, reconnect=reconnects.append
        )
        running = asyncio.create_task(renewal.run())
        await test(renewal)
        assert not running.done()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        gaps = [round(later - sooner) for (sooner, _), (later, _) in zip(line.sent, line.sent[1:], strict=False)]
        return [csr for _, csr in line.sent], gaps, reconnects

    return run_virtual(main())


def test_a_request_nobody_answers_is_repeated_with_longer_waits_and_given_up():
    async def test(renewal):
        renewal.ask()
        await asyncio.sleep(10 * DAY_S)

    sent, gaps, _ = renewing(test, Own(), Line())
    assert sent == ["csr 1"] * (REPEATS + 1)
    assert gaps == [round(WAIT_S * 2**number) for number in range(REPEATS)]


def test_an_answered_request_is_not_repeated_and_the_certificate_is_put_to_work():
    own = Own()

    async def test(renewal):
        renewal.ask()
        await asyncio.sleep(10.0)
        renewal.answered(is_taken=False)
        await asyncio.sleep(10.0)
        own.numbers = [4]
        renewal.answered(is_taken=True)
        await asyncio.sleep(1000.0)

    sent, _, reconnects = renewing(test, own, Line())
    assert sent == ["csr 1"]
    assert len(reconnects) == 1


def test_row_11_each_request_has_a_new_key_and_a_rejected_one_ends():
    async def test(renewal):
        for _ in range(2):
            renewal.ask()
            await asyncio.sleep(DAY_S)

    assert renewing(test, Own(), Line(GenericStatus.rejected, GenericStatus.rejected))[0] == ["csr 1", "csr 2"]


def test_being_offline_is_no_attempt_and_an_error_is():
    async def test(renewal):
        renewal.ask()
        await asyncio.sleep(10 * DAY_S)

    line = Line(LinkClosedError("gone"), LinkClosedError("gone"), CallRefusedError("NotSupported", ""))
    sent, gaps, _ = renewing(test, Own(), line)
    assert len(sent) == REPEATS + 3
    assert gaps[:3] == [0, 0, WAIT_S]


def test_a_due_renewal_comes_unasked_and_again_the_next_day():
    async def test(renewal):
        await asyncio.sleep(3 * ANEW_AFTER_S)

    sent, _, _ = renewing(test, Own(is_due=True), Line())
    assert set(sent) == {"csr 1", "csr 2", "csr 3"}
    assert renewing(test, Own(is_due=True), Line(), is_wanted=False)[0] == []
