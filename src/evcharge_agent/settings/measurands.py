"""Comma-separated lists of measurands, as central systems write them (OCPP 1.6, 7.31 and 9.1.18).

Every measurand of the standard is accepted, with or without a phase; those the meters cannot give are
simply absent from MeterValues. Anything else is refused.
"""

from evcharge_agent.core.facts import Measurand

OCPP_MEASURANDS = frozenset(
    {
        "Current.Export",
        "Current.Import",
        "Current.Offered",
        "Energy.Active.Export.Interval",
        "Energy.Active.Export.Register",
        "Energy.Active.Import.Interval",
        "Energy.Active.Import.Register",
        "Energy.Reactive.Export.Interval",
        "Energy.Reactive.Export.Register",
        "Energy.Reactive.Import.Interval",
        "Energy.Reactive.Import.Register",
        "Frequency",
        "Power.Active.Export",
        "Power.Active.Import",
        "Power.Factor",
        "Power.Offered",
        "Power.Reactive.Export",
        "Power.Reactive.Import",
        "RPM",
        "SoC",
        "Temperature",
        "Voltage",
    }
)
"""The 22 measurands of OCPP 1.6."""

OCPP_PHASES = frozenset({"L1", "L2", "L3", "N", "L1-N", "L2-N", "L3-N", "L1-L2", "L2-L3", "L3-L1"})

MAX_MEASURANDS = 44
"""Room for all 22 and as many again with a phase."""

_BY_NAME = {measurand.value: measurand for measurand in Measurand}
_ALLOWED = f"at most {MAX_MEASURANDS} measurands of OCPP 1.6 separated by commas, each with or without a phase"


def check_measurand_list(text: str) -> str:
    """Return the list without blanks.

    Raises:
        ValueError: an entry is not a measurand, or there are too many.
    """
    names = split_measurands(text)
    if len(names) > MAX_MEASURANDS:
        raise ValueError(_ALLOWED)
    for name in names:
        if _without_phase(name) not in OCPP_MEASURANDS:
            raise ValueError(_ALLOWED)
    return ",".join(names)


def split_measurands(text: str) -> tuple[str, ...]:
    """Split a list; an empty text is an empty list."""
    return tuple(part.strip() for part in text.split(",")) if text.strip() else ()


def available_measurands(text: str) -> tuple[Measurand, ...]:
    """The measurands of a checked list that a meter of ours can give, in order and each once.

    A phase is dropped: a measurand that has phases is always sent with all of them.
    """
    named = (_BY_NAME.get(_without_phase(name)) for name in split_measurands(text))
    return tuple(dict.fromkeys(measurand for measurand in named if measurand is not None))


def _without_phase(name: str) -> str:
    """`Voltage.L1` is a measurand with a phase; `Power.Factor` is one without."""
    measurand, _, phase = name.rpartition(".")
    return measurand if phase in OCPP_PHASES and measurand else name
