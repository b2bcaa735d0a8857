"""The agent's settings, each declared once (DESIGN 4a, D5).

What stands here has behaviour behind it in this version. Names of the design that have none yet are in
`settings.planned`; the board's own file is declared in `evcharge_hal.boards.board`.
"""

import enum
import importlib.metadata
import zoneinfo
from typing import Annotated, Self

from pydantic import AfterValidator, model_validator

from evcharge_agent.core.facts import IdTag, key_of
from evcharge_agent.core.rules import StandAlone
from evcharge_agent.settings.checks import misplaced
from evcharge_agent.settings.declare import Applies, Role, Section, setting
from evcharge_agent.settings.file_sections import Files, Firmware
from evcharge_agent.settings.instrument_sections import Meter, MeterRole, Reader
from evcharge_agent.settings.ocpp_section import BASIC_AUTH_PROFILES, Ocpp
from evcharge_hal.contract.units import MAX_CURRENT_A, MIN_CURRENT_A

MIN_A = float(MIN_CURRENT_A)
MAX_A = float(MAX_CURRENT_A)
_PAUSE_OR_CURRENT = f"0, or a number from {MIN_A:g} to {MAX_A:g} A"
_ID_TAG_LENGTH = 20
_ID_TAGS_ALLOWED = f"ids of 1 to {_ID_TAG_LENGTH} characters separated by commas"
_ZONE_ALLOWED = "the name of a time zone such as Europe/Berlin"


def _check_pause_or_current(value_a: float) -> float:
    """Between 0 and the pilot's minimum there is nothing (DESIGN D4)."""
    if value_a == 0.0 or MIN_A <= value_a <= MAX_A:
        return value_a
    raise ValueError(_PAUSE_OR_CURRENT)


def _check_zone(name: str) -> str:
    try:
        zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise ValueError(_ZONE_ALLOWED) from error
    return name


def split_id_tags(text: str) -> tuple[str, ...]:
    """Ids of a list separated by commas."""
    return tuple(part.strip() for part in text.split(",")) if text.strip() else ()


def _check_id_tags(text: str) -> str:
    tags = split_id_tags(text)
    if not all(1 <= len(tag) <= _ID_TAG_LENGTH for tag in tags):
        raise ValueError(_ID_TAGS_ALLOWED)
    return ",".join(tags)


IdTagList = Annotated[str, AfterValidator(_check_id_tags)]
PauseOrCurrent = Annotated[float, AfterValidator(_check_pause_or_current)]
ZoneName = Annotated[str, AfterValidator(_check_zone)]


class Market(enum.Enum):
    """Whose rules apply."""

    NONE = "none"
    GB = "GB"


class Station(Section):
    """Who this charger is; sent in BootNotification (OCPP 1.6, 6.3)."""

    vendor: str = setting("Vendor", "chargePointVendor.", default="evcharge", min_length=1, max_length=20)
    model: str = setting("Model", "chargePointModel.", default="agent", min_length=1, max_length=20)
    serial: str = setting("Serial number", "chargeBoxSerialNumber.", default="EVC-0001", min_length=1, max_length=25)
    firmware_version: str | None = setting(
        "Firmware version",
        "firmwareVersion; without it the version of this software.",
        default=None,
        min_length=1,
        max_length=50,
    )
    alias: str = setting(
        "Alias",
        "Name shown to people; may contain emoji.",
        default="",
        max_length=64,
        changed_by=(Role.USER, Role.INSTALLER),
        applies=Applies.LIVE,
    )


class Site(Section):
    """Where it stands."""

    market: Market = setting(
        "Market", "Whose national rules apply; none of them without a market.", default=Market.NONE, not_yet=("GB",)
    )
    time_zone: ZoneName = setting(
        "Time zone", "Local time for people; everything stored is UTC.", default="UTC", allowed=_ZONE_ALLOWED
    )
    public_meter: bool = setting(
        "Public charging",
        "The session meter is what somebody is billed by: when it is lost the session stops. Otherwise it goes on,"
        " flagged.",
        default=False,
        changed_by=(Role.INSTALLER,),
        applies=Applies.LIVE,
    )

    stand_alone: StandAlone = setting(
        "Without a central system",
        "Who may charge while no central system is configured. accept_all: every card. local_list: the cards of"
        " stand_alone_cards and of the local list. autostart: whoever plugs in, without a card.",
        default=StandAlone.ACCEPT_ALL,
        changed_by=(Role.INSTALLER,),
        applies=Applies.LIVE,
    )
    stand_alone_cards: IdTagList = setting(
        "Cards",
        'Cards that may charge with `stand_alone = "local_list"`, separated by commas.',
        default="",
        max_length=2000,
        changed_by=(Role.INSTALLER,),
        applies=Applies.LIVE,
        allowed=_ID_TAGS_ALLOWED,
    )

    @property
    def stand_alone_ids(self) -> frozenset[IdTag]:
        """The cards, as they are compared."""
        return frozenset(key_of(IdTag(part)) for part in split_id_tags(self.stand_alone_cards))


class Store(Section):
    """Where lasting data is kept."""

    dir: str = setting(
        "Directory",
        "Created when missing, readable by its owner only.",
        default="/var/lib/evcharge-agent",
        min_length=1,
    )


class Limits(Section):
    """Limits a person set, and what to do when the agent falls silent."""

    user_limit_a: float = setting(
        "User's limit",
        "Most current per phase the user wants.",
        default=32.0,
        unit="A",
        ge=MIN_A,
        le=MAX_A,
        changed_by=(Role.USER, Role.INSTALLER),
        applies=Applies.LIVE,
    )
    installer_limit_a: float = setting(
        "Installer's limit",
        "Most current per phase the installation allows; the board's rating caps it.",
        default=32.0,
        unit="A",
        ge=MIN_A,
        le=MAX_A,
        changed_by=(Role.INSTALLER,),
        applies=Applies.LIVE,
    )
    agent_lost_a: PauseOrCurrent = setting(
        "Current without the agent",
        "What the guard offers at most while the agent is silent (`on_lapse_a`); 0 pauses.",
        default=6.0,
        unit="A",
        changed_by=(Role.INSTALLER,),
        applies=Applies.LIVE,
        allowed=_PAUSE_OR_CURRENT,
    )
    agent_lost_hold_s: float = setting(
        "Time without the agent",
        "How long the guard holds that current before it stops the car.",
        default=120.0,
        unit="s",
        ge=0.0,
        le=120.0,
        changed_by=(Role.INSTALLER,),
        applies=Applies.LIVE,
    )


class Settings(Section):
    """Everything the agent can be told; the defaults alone run."""

    station: Station = Station()
    site: Site = Site()
    store: Store = Store()
    ocpp: Ocpp = Ocpp()
    limits: Limits = Limits()
    files: Files = Files()
    firmware: Firmware = Firmware()
    reader: tuple[Reader, ...] = ()
    meter: tuple[Meter, ...] = ()

    @model_validator(mode="after")
    def _check_names_are_different(self) -> Self:
        for table, names in (("reader", [r.name for r in self.reader]), ("meter", [m.name for m in self.meter])):
            if len(set(names)) < len(names):
                raise misplaced(table, "entries with different names")
        measured = [meter.connector for meter in self.meter if meter.role is MeterRole.SESSION]
        if len(set(measured)) < len(measured):
            raise misplaced("meter", "one session meter for each connector")
        return self

    @model_validator(mode="after")
    def _check_serial_buses(self) -> Self:
        by_port: dict[str, Meter] = {}
        seen = set()
        for meter in self.meter:
            if meter.serial_port is None:
                continue
            first = by_port.setdefault(meter.serial_port, meter)
            if (first.baud, first.parity, first.stop_bits) != (meter.baud, meter.parity, meter.stop_bits):
                raise misplaced("meter", "the same baud, parity and stop_bits for meters on one serial_port")
            if (meter.serial_port, meter.unit) in seen:
                raise misplaced("meter", "different units for meters on one serial_port")
            seen.add((meter.serial_port, meter.unit))
        devices = [reader.device for reader in self.reader if reader.device is not None] + list(by_port)
        if len(set(devices)) < len(devices):
            raise misplaced("reader", "a device of its own for each reader")
        return self

    @model_validator(mode="after")
    def _check_identity(self) -> Self:
        profile = self.ocpp.security_profile
        if profile in BASIC_AUTH_PROFILES and ":" in self.identity:
            field = "ocpp.identity" if self.ocpp.identity is not None else "station.serial"
            raise misplaced(field, f"a text without ':' while security_profile is {profile} (RFC 7617, 2)")
        return self

    @property
    def firmware_version(self) -> str:
        """What BootNotification says of the software."""
        return self.station.firmware_version or importlib.metadata.version("evcharge-agent")

    @property
    def identity(self) -> str:
        """The charge point identity the central system knows."""
        return self.ocpp.identity or self.station.serial
