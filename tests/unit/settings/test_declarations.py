"""Each setting is declared once and completely; the core's rules are satisfied by exactly one declaration each."""

import inspect

import pytest

from evcharge_agent.core import rules
from evcharge_agent.settings.catalogue import Entry, entries, ocpp_entries
from evcharge_agent.settings.declare import KeyAccess, Role, Section, allowed_text
from evcharge_agent.settings.errors import list_names, section_of
from evcharge_agent.settings.keys import OcppKeys
from evcharge_agent.settings.rules import RulesView, rules_of
from evcharge_agent.settings.sections import Limits, Settings

RULES = (rules.AuthorisationRules, rules.SessionRules, rules.SamplingRules, rules.LimitRules)


def protocol_names(protocol: type) -> list[str]:
    return [name for name, value in vars(protocol).items() if isinstance(value, property)]


def sections(root: type[Section] = Settings) -> list[type[Section]]:
    inner = [found for info in root.model_fields.values() if (found := section_of(info)) is not None]
    return [root, *(below for section in inner for below in sections(section))]


def declared_names(section: type[Section]) -> list[str]:
    properties = [name for name, value in inspect.getmembers(section) if isinstance(value, property)]
    return [*section.model_fields, *(name for name in properties if not name.startswith("model_"))]


@pytest.mark.parametrize("protocol", RULES)
def test_each_rule_is_declared_exactly_once(protocol: type) -> None:
    everything = [name for section in sections() for name in declared_names(section)]
    assert {name: everything.count(name) for name in protocol_names(protocol)} == dict.fromkeys(
        protocol_names(protocol), 1
    )


def test_the_view_gives_every_rule_of_the_core() -> None:
    view = rules_of(Settings())
    for protocol, part in zip(RULES, (view.authorisation, view.session, view.sampling, view.limits), strict=True):
        for name in protocol_names(protocol):
            assert getattr(part, name) is not None
    assert {name for name, value in vars(rules.Rules).items() if isinstance(value, property)} == {
        name for name, value in vars(RulesView).items() if isinstance(value, property)
    }
    assert not view.is_central_system_enabled
    assert not view.has_public_meter


@pytest.mark.parametrize("entry", entries().values(), ids=lambda entry: entry.path)
def test_each_declaration_is_complete(entry: Entry) -> None:
    assert entry.info.title
    assert entry.info.description
    assert str(entry.info.description).endswith(".")
    assert allowed_text(entry.info)
    suffix = entry.attributes[-1].rpartition("_")[2]
    assert {"a": "A", "s": "s", "wh": "Wh", "pct": "%"}.get(suffix) == entry.meaning.unit
    key = entry.meaning.ocpp_key
    if key is not None:
        assert (Role.CENTRAL_SYSTEM in entry.meaning.changed_by) == (key.access is not KeyAccess.READ)
    else:
        assert Role.CENTRAL_SYSTEM not in entry.meaning.changed_by


def test_ocpp_keys_are_different_without_case() -> None:
    keys = [entry.meaning.ocpp_key.name for entry in entries().values() if entry.meaning.ocpp_key]
    assert len({key.casefold() for key in keys}) == len(keys) == len(ocpp_entries())
    assert set(list_names(OcppKeys)) <= set(keys)


REQUIRED_BY_CORE = """
AuthorizeRemoteTxRequests ClockAlignedDataInterval ConnectionTimeOut ConnectorPhaseRotation GetConfigurationMaxKeys
HeartbeatInterval LocalAuthorizeOffline LocalPreAuthorize MeterValuesAlignedData MeterValuesSampledData
MeterValueSampleInterval NumberOfConnectors ResetRetries StopTransactionOnEVSideDisconnect StopTransactionOnInvalidId
StopTxnAlignedData StopTxnSampledData SupportedFeatureProfiles TransactionMessageAttempts
TransactionMessageRetryInterval UnlockConnectorOnEVSideDisconnect
""".split()


def test_every_key_the_core_profile_requires_is_answered() -> None:
    assert {name.casefold() for name in REQUIRED_BY_CORE} <= set(ocpp_entries())


def test_sections_are_frozen_and_hide_secrets() -> None:
    settings = Settings.model_validate_json('{"ocpp": {"authorization_key": "geheim"}}')
    assert "geheim" not in repr(settings)
    assert "geheim" not in str(settings.model_dump())
    with pytest.raises(ValueError, match="frozen"):
        settings.limits.user_limit_a = 80.0
    assert Limits() == Settings().limits
