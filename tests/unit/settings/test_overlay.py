"""Run-time values over the file's."""

import asyncio

import pytest

from evcharge_agent.settings.catalogue import entries
from evcharge_agent.settings.declare import Applies, Role
from evcharge_agent.settings.errors import ConfigurationError
from evcharge_agent.settings.live import LiveSettings
from evcharge_agent.settings.overlay import apply, apply_usable
from evcharge_agent.settings.sections import Settings
from evcharge_hal.contract.errors import EvchargeError, InvalidFieldError


class Overlay:
    """Keeps what was written."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    async def clear_setting(self, name: str) -> bool:
        return self.values.pop(name, None) is not None

    async def set_setting(self, name: str, value: str) -> None:
        self.values[name] = value


def test_stored_values_win_over_the_file() -> None:
    changed = apply(Settings(), {"limits.user_limit_a": "16", "ocpp.keys.LocalPreAuthorize": "true"})
    assert changed.limits.user_limit_a == 16.0
    assert changed.ocpp.keys.local_pre_authorize
    assert changed.limits.installer_limit_a == Settings().limits.installer_limit_a


def test_a_key_may_be_named_as_a_central_system_does() -> None:
    assert apply(Settings(), {"heartbeatInterval": "7"}).ocpp.keys.heartbeat_interval_s == 7


@pytest.mark.parametrize(
    ("overlay", "expected"),
    [
        ({"ocpp.authorization_key": "geheim1", "AuthorizationKey": "geheim2"}, "one mention; it is also ocpp.auth"),
        ({"ocpp.keys.HeartbeatInterval": "1", "HEARTBEATINTERVAL": "1"}, "one mention; it is also ocpp.keys.Heart"),
        ({"nonsense": "1"}, "allowed: the name of a setting"),
        ({"limits.user_limit_a": "5"}, "limits.user_limit_a = 5.0: allowed: a number from 6 to 80 A"),
        ({"limits.user_limit_a": "x"}, "limits.user_limit_a = 'x': allowed: a number from 6 to 80 A"),
        ({"limits.user_limit_a": 16}, "allowed: a value kept as text"),
        ({"site.market": "GB"}, "GB is not supported by this version"),
    ],
)
def test_what_does_not_fit_is_told(overlay: dict[str, object], expected: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        apply(Settings(), overlay)
    assert expected in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_a_stored_value_of_another_version_does_not_prevent_a_start() -> None:
    overlay = {"limits.user_limit_a": "16", "gone.with_the_wind": "1", "ocpp.keys.HeartbeatInterval": "0"}
    changed, problems = apply_usable(Settings(), overlay)
    assert changed.limits.user_limit_a == 16.0
    assert changed.ocpp.keys.heartbeat_interval_s == 300
    assert len(problems) == 2


@pytest.mark.parametrize(
    ("path", "text", "stored"),
    [
        ("limits.user_limit_a", "16", "16"),
        ("limits.user_limit_a", "16.50", "16.5"),
        ("limits.agent_lost_a", "0", "0"),
        ("site.public_meter", "True", "true"),
        ("station.alias", "Garage 🚗", "Garage 🚗"),
    ],
)
async def test_values_are_kept_in_one_spelling_and_read_back(path: str, text: str, stored: str) -> None:
    overlay = Overlay()
    live = LiveSettings(Settings(), overlay)
    assert await live.set(path, text, Role.INSTALLER) is Applies.LIVE
    assert overlay.values == {path: stored}
    assert live.get(path) == stored
    assert apply(Settings(), overlay.values) == live.settings


@pytest.mark.parametrize(
    ("path", "role", "expected"),
    [
        ("limits.installer_limit_a", Role.USER, "allowed: a change by installer"),
        ("store.dir", Role.INSTALLER, "allowed: a change in the file only"),
        ("limits.user_limit_a", Role.CENTRAL_SYSTEM, "allowed: a change by user or installer"),
        ("limits.user_limitt_a", Role.USER, "did you mean 'limits.user_limit_a'?"),
    ],
)
async def test_only_those_named_may_change_a_setting(path: str, role: Role, expected: str) -> None:
    live = LiveSettings(Settings(), Overlay())
    with pytest.raises(InvalidFieldError) as caught:
        await live.set(path, "16", role)
    assert expected in str(caught.value)
    assert live.settings == Settings()


def test_every_setting_is_listed_and_every_shown_value_can_be_put_back() -> None:
    listing = LiveSettings(Settings(), Overlay()).listing()
    assert set(listing) == set(entries())
    assert apply(Settings(), {name: text for name, text in listing.items() if text}) == Settings()


class SlowDisk(Overlay):
    """Writes when it is told to, or fails."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go_on = asyncio.Event()
        self.is_broken = False

    async def set_setting(self, name: str, value: str) -> None:
        await self.may_go_on.wait()
        if self.is_broken:
            raise EvchargeError("the disk is full")
        await super().set_setting(name, value)


@pytest.mark.parametrize(
    ("path", "text", "is_at_once"),
    [
        ("limits.user_limit_a", "8", True),
        ("limits.agent_lost_a", "0", True),
        ("limits.user_limit_a", "40", False),
        ("ocpp.keys.HeartbeatInterval", "7", False),
    ],
)
@pytest.mark.parametrize("is_broken", [False, True])
async def test_only_a_limit_that_falls_does_not_wait_for_the_disk(
    path: str, text: str, is_at_once: bool, is_broken: bool
) -> None:
    disk, told = SlowDisk(), []
    live = LiveSettings(Settings(), disk, told.append)
    before, wanted = live.get(path), text
    changing = asyncio.create_task(live.set(path, text, Role.INSTALLER))
    await asyncio.sleep(0)
    assert live.get(path) == (wanted if is_at_once else before)
    assert len(told) == int(is_at_once)
    disk.is_broken = is_broken
    disk.may_go_on.set()
    if not is_broken:
        assert await changing is Applies.LIVE
        assert (live.get(path), len(told)) == (wanted, 1)
        return
    with pytest.raises(EvchargeError, match="full"):
        await changing
    assert live.get(path) == before, "what could not be kept is taken back, and said"
    assert len(told) == (2 if is_at_once else 0)
