"""The order of an update's notifications, its waits, and its end after a restart at any stage."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcharge_agent.core.facts import Instant
from evcharge_agent.ocpp16 import firmware_job as job
from evcharge_agent.ocpp16.firmware_job import Verdict
from evcharge_agent.ocpp16.firmware_values import (
    Announce,
    Answered,
    Discard,
    Download,
    Fetched,
    FetchFailed,
    Hold,
    Install,
    InstallEnded,
    Order,
    Ordered,
    Outcome,
    Reported,
    Restart,
    Resumed,
    Stage,
    State,
    StationCleared,
    Status,
    TimePassed,
    Verified,
    Verify,
)
from evcharge_hal.contract.schema import decode, encode

UTC_S = 1_750_000_000.0
DIGEST = "d" * 64


class Life:
    """One job under a clock of its own; every state is what the disk would give back."""

    def __init__(self, **order):
        self.now = Instant(1000.0, UTC_S, is_utc_trusted=True)
        self.state = State()
        self.actions = []
        self.told = []
        if order is not None:
            self.take(Ordered(self.order(**order)))

    def order(self, *, is_signed=False, **fields):
        signed = {"request_id": 7, "signing_certificate": "c", "signature": "s"} if is_signed else {}
        return Order(
            **({"location": "https://x/f", "retrieve_utc_s": 0.0, "attempts": 3, "interval_s": 60} | signed | fields)
        )

    def take(self, event):
        self.state, actions = job.step(self.state, event, self.now)
        self.actions += actions
        if self.state.job is not None:
            kept = decode(type(self.state.job), encode(self.state.job))
            assert kept == self.state.job
            while self.state.job is not None and self.state.job.reports and self.is_online:
                self.told.append(self.state.job.reports[0].status.value)
                self.state, actions = job.step(self.state, Reported(), self.now)
                self.actions += actions
        return self

    is_online = True

    def work(self, kind):
        """Result of the newest work, with its serial."""
        return kind.__name__, next(one for one in reversed(self.actions) if isinstance(one, kind)).serial

    def fetched(self, digest=DIGEST):
        return self.take(Fetched(self.work(Download)[1], digest))

    def failed(self, *, is_final=False):
        return self.take(FetchFailed(self.work(Download)[1], is_final))

    def verified(self, *, is_valid=True):
        return self.take(Verified(self.work(Verify)[1], is_valid))

    def installed(self, outcome=Outcome.INSTALLED):
        return self.take(InstallEnded(self.work(Install)[1], outcome))

    def wait(self, seconds):
        self.now = replace(self.now, monotonic_s=self.now.monotonic_s + seconds, utc_s=self.now.utc_s + seconds)
        return self.take(TimePassed())

    def restart(self, *, installed="", file=""):
        """A new process with what the disk has."""
        self.state = State(self.state.job)
        self.actions = []
        return self.take(Resumed(installed, file))

    @property
    def stage(self):
        return None if self.state.job is None else self.state.job.stage

    def did(self, kind):
        return [one for one in self.actions if isinstance(one, kind)]


def test_a_plain_update_from_end_to_end():
    life = Life().take(Answered()).fetched().take(StationCleared()).installed()
    assert life.did(Restart)
    life.restart(installed=DIGEST, file=DIGEST)
    assert life.told == ["Downloading", "Downloaded", "Installing", "Installed"]
    assert life.stage is None
    assert Announce("FirmwareUpdated") in life.actions


def test_a_signed_update_from_end_to_end():
    life = Life(is_signed=True).take(Answered()).fetched().verified().take(StationCleared()).installed()
    life.restart(installed=DIGEST)
    assert life.told == [
        "Downloading", "Downloaded", "SignatureVerified", "Installing", "InstallRebooting", "Installed",
    ]  # fmt: skip


def test_dates_are_kept():
    life = Life(is_signed=True, retrieve_utc_s=UTC_S + 100, install_utc_s=UTC_S + 500).take(Answered())
    assert life.told == ["DownloadScheduled"]
    life.wait(99.0)
    assert not life.did(Download)
    life.wait(1.0).fetched().verified()
    assert life.told[-1] == "InstallScheduled"
    assert not life.did(Hold)
    life.take(StationCleared())
    assert not life.did(Install), "nobody asked"
    life.wait(400.0)
    assert life.did(Hold) == [Hold(is_wanted=True)]
    life.take(StationCleared())
    assert life.did(Install)


def test_a_plain_update_is_silent_until_its_date():
    life = Life(retrieve_utc_s=UTC_S + 100).take(Answered())
    assert life.told == []
    assert job.status_of(life.state).status is Status.IDLE
    assert life.wait(100.0).told == ["Downloading"]


def test_without_a_right_clock_no_date_has_come():
    life = Life(retrieve_utc_s=UTC_S - 100)
    life.now = replace(life.now, is_utc_trusted=False)
    life.take(Answered()).wait(1000.0)
    assert life.stage is Stage.SCHEDULED
    assert job.next_look_s(life.state, life.now) == job.LOOK_EVERY_S
    life.now = replace(life.now, is_utc_trusted=True)
    assert life.wait(1.0).stage is Stage.DOWNLOADING


def test_an_answer_that_cannot_be_sent_holds_the_job_up_for_a_moment_only():
    life = Life()
    assert life.wait(9.0).stage is Stage.ORDERED
    assert life.wait(1.0).stage is Stage.DOWNLOADING


@pytest.mark.parametrize("is_signed", [False, True])
def test_retries_and_their_interval(is_signed):
    life = Life(is_signed=is_signed, attempts=3, interval_s=60).take(Answered()).failed()
    assert life.stage is Stage.PAUSED
    assert job.next_look_s(life.state, life.now) == 60.0
    life.wait(59.0)
    assert len(life.did(Download)) == 1
    life.wait(1.0).failed().wait(60.0).failed()
    assert len(life.did(Download)) == 3
    again = ["Downloading", "DownloadPaused"] * 2 + ["Downloading"] if is_signed else ["Downloading"]
    assert life.told == [*again, "DownloadFailed"]
    assert life.did(Discard)


def test_a_failure_that_is_final_is_not_tried_again():
    assert Life().take(Answered()).failed(is_final=True).told == ["Downloading", "DownloadFailed"]


def test_a_wrong_signature_ends_it():
    life = Life(is_signed=True).take(Answered()).fetched().verified(is_valid=False)
    assert life.told == ["Downloading", "Downloaded", "InvalidSignature"]
    assert Announce("InvalidFirmwareSignature") in life.actions
    assert not life.did(Install)
    assert life.did(Hold) == [Hold(is_wanted=False)]


@pytest.mark.parametrize(
    ("is_signed", "outcome", "word"),
    [
        (False, Outcome.UNUSABLE, "InstallationFailed"),
        (False, Outcome.FAILED, "InstallationFailed"),
        (True, Outcome.UNUSABLE, "InstallVerificationFailed"),
        (True, Outcome.FAILED, "InstallationFailed"),
    ],
)
def test_an_installation_that_fails_gives_the_connectors_back(is_signed, outcome, word):
    life = Life(is_signed=is_signed).take(Answered()).fetched()
    if is_signed:
        life.verified()
    life.take(StationCleared()).installed(outcome)
    assert life.told[-1] == word
    assert life.did(Hold)[-1] == Hold(is_wanted=False)
    assert not life.did(Restart)


def test_only_a_signed_update_says_that_it_waits_and_only_once():
    for is_signed in (False, True):
        life = Life(is_signed=is_signed).take(Answered()).fetched()
        if is_signed:
            life.verified()
        life.wait(2.0).wait(100.0)
        assert life.told.count("InstallScheduled") == int(is_signed)
        assert life.stage is Stage.WAITING


@pytest.mark.parametrize("offline_for_s", [0.0, 5.0])
def test_the_restart_waits_for_what_there_is_to_tell_but_not_for_ever(offline_for_s):
    life = Life().take(Answered()).fetched()
    life.is_online = False
    life.take(StationCleared()).installed().wait(offline_for_s)
    assert not life.did(Restart)
    life.wait(job.TELL_BEFORE_RESTART_S)
    assert len(life.did(Restart)) == 1
    assert len(life.wait(100.0).did(Restart)) == 1


# --- another request --------------------------------------------------------------------------------------


def test_a_new_request_ends_an_update_under_way_but_no_installation():
    life = Life(is_signed=True).take(Answered())
    assert job.verdict_on(life.state) is Verdict.ACCEPTED_CANCELED
    serial = life.work(Download)[1]
    life.take(Ordered(life.order(request_id=8)))
    assert Discard() in life.actions
    life.take(Fetched(serial, DIGEST))
    assert life.stage is Stage.ORDERED, "what comes of the old one is not heeded"
    life.take(Answered()).fetched()
    life.take(StationCleared())
    if life.stage is Stage.VERIFYING:
        life.verified().take(StationCleared())
    assert job.verdict_on(life.state) is Verdict.REJECTED
    before = life.state
    assert life.take(Ordered(life.order(request_id=9))).state == before


def test_what_an_ended_update_has_to_tell_goes_out_before_the_next_ones():
    life = Life(is_signed=True)
    life.is_online = False
    life.take(Answered()).failed(is_final=True)
    assert job.verdict_on(life.state) is Verdict.ACCEPTED
    life.take(Ordered(life.order(is_signed=True, request_id=8))).take(Answered())
    found = [(one.status.value, one.request_id) for one in life.state.job.reports]
    assert found == [("Downloading", 7), ("DownloadFailed", 7), ("Downloading", 8)]


def test_who_takes_no_notification_cannot_order_for_ever():
    life = Life(is_signed=True)
    life.is_online = False
    orders = 0
    while job.verdict_on(life.state) is not Verdict.REJECTED:
        life.take(Ordered(life.order(is_signed=True))).take(Answered()).failed(is_final=True)
        orders += 1
    assert orders < 200


# --- restarts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "installed", "file", "then", "work"),
    [
        (Stage.ORDERED, "", "", Stage.DOWNLOADING, Download),
        (Stage.DOWNLOADING, "", "", Stage.DOWNLOADING, Download),
        (Stage.PAUSED, "", "", Stage.DOWNLOADING, Download),
        (Stage.VERIFYING, "", DIGEST, Stage.VERIFYING, Verify),
        (Stage.VERIFYING, "", "", Stage.DOWNLOADING, Download),
        (Stage.INSTALL_SCHEDULED, "", DIGEST, Stage.INSTALL_SCHEDULED, None),
        (Stage.INSTALL_SCHEDULED, "", "e" * 64, Stage.DOWNLOADING, Download),
        (Stage.WAITING, "", DIGEST, Stage.WAITING, Hold),
        (Stage.WAITING, "", "", Stage.DOWNLOADING, Download),
        (Stage.INSTALLING, "", DIGEST, None, Discard),
        (Stage.INSTALLING, DIGEST, DIGEST, None, Announce),
        (Stage.REBOOTING, DIGEST, "", None, Announce),
        (Stage.REBOOTING, "", "", None, Discard),
        (Stage.OVER, "", "", None, None),
    ],
)
def test_a_restart_at_every_stage(stage, installed, file, then, work):
    life = Life(is_signed=True, install_utc_s=UTC_S + 500)
    digest = DIGEST if stage not in (Stage.ORDERED, Stage.DOWNLOADING, Stage.PAUSED) else ""
    life.state = State(replace(life.state.job, stage=stage, digest=digest, begun=1))
    life.restart(installed=installed, file=file)
    assert life.stage is then
    assert not life.did(Install)
    if work is not None:
        assert life.did(work)
    if stage in (Stage.INSTALLING, Stage.REBOOTING):
        assert life.told == (["Installed"] if installed else ["InstallationFailed"])


def test_attempts_count_over_restarts():
    life = Life(attempts=2).take(Answered())
    life.restart().restart()
    assert life.told == ["Downloading", "DownloadFailed"]


# --- laws -------------------------------------------------------------------------------------------------

FOLLOWS = {
    None: {"DownloadScheduled", "Downloading"},
    "DownloadScheduled": {"Downloading"},
    "Downloading": {"DownloadPaused", "Downloaded", "DownloadFailed"},
    "DownloadPaused": {"Downloading", "DownloadFailed"},
    "Downloaded": {"SignatureVerified", "InvalidSignature", "Installing", "Downloading", "DownloadFailed"},
    "SignatureVerified": {"InstallScheduled", "Installing", "Downloading", "DownloadFailed"},
    "InstallScheduled": {"Installing", "Downloading", "DownloadFailed"},
    "Installing": {"InstallRebooting", "Installed", "InstallationFailed", "InstallVerificationFailed"},
    "InstallRebooting": {"Installed", "InstallationFailed"},
}
ENDS = {"Installed", "DownloadFailed", "InvalidSignature", "InstallationFailed", "InstallVerificationFailed"}


EVENTS = st.sampled_from(
    ["answered", "cleared", "fetched", "failed", "valid", "invalid", "installed", "broken", "wait", "restart"]
)


class Fate:
    """Plays what hypothesis draws, and knows what is in the slot."""

    def __init__(self, life, data):
        self.life = life
        self.data = data
        self.installs = 0
        self.slot = ""

    def play(self, event):
        life = self.life
        before = 0 if event == "restart" else len(life.did(Install))
        if event == "wait":
            life.wait(self.data.draw(st.sampled_from([0.0, 1.0, 60.0, 400.0])))
        elif event == "restart":
            self.restart()
        else:
            self.result(event)
        self.installs += len(life.did(Install)) - before

    def restart(self):
        """The power may have gone before or after the slot was switched."""
        if self.life.stage is Stage.INSTALLING and self.data.draw(st.booleans()):
            self.slot = DIGEST
        self.life.restart(installed=self.slot, file=self.data.draw(st.sampled_from(["", DIGEST])))

    def result(self, event):
        serial = self.life.state.serial + self.data.draw(st.sampled_from([0, 0, 0, 0, -1]))
        found = {
            "answered": Answered(),
            "cleared": StationCleared(),
            "fetched": Fetched(serial, DIGEST),
            "failed": FetchFailed(serial, is_final=False),
            "valid": Verified(serial, is_valid=True),
            "invalid": Verified(serial, is_valid=False),
            "installed": InstallEnded(serial, Outcome.INSTALLED),
            "broken": InstallEnded(serial, Outcome.FAILED),
        }[event]
        if event == "installed" and self.life.stage is Stage.INSTALLING and serial == self.life.state.serial:
            self.slot = DIGEST
        self.life.take(found)


def judge(told):
    before = None
    for word in told:
        assert word in FOLLOWS.get(before, set()), (before, word)
        before = word


@settings(deadline=None, max_examples=300)
@given(st.data(), st.booleans(), st.booleans(), st.booleans())
def test_whatever_happens_the_order_is_right_and_nothing_is_installed_twice(data, is_signed, is_later, is_planned):
    fields = {"retrieve_utc_s": UTC_S + 50} if is_later else {}
    if is_signed and is_planned:
        fields["install_utc_s"] = UTC_S + 300
    life = Life(is_signed=is_signed, attempts=data.draw(st.integers(1, 4)), **fields)
    fate = Fate(life, data)
    for event in data.draw(st.lists(EVENTS, max_size=40)):
        if life.stage is not None:
            fate.play(event)
    judge(life.told)
    assert fate.installs <= 1
    assert ("Installed" in life.told) <= (fate.slot == DIGEST)
    assert (life.stage is None) == bool(life.told and life.told[-1] in ENDS)
    if is_signed and fate.installs:
        assert life.told.index("SignatureVerified") < life.told.index("Installing")
