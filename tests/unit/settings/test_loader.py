"""The loader: what it takes, what it refuses, and how it says so."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcharge_agent.settings.catalogue import entries
from evcharge_agent.settings.errors import ConfigurationError
from evcharge_agent.settings.file_sections import Installer
from evcharge_agent.settings.loader import check_tables, load, split_file
from evcharge_agent.settings.sections import Settings

EXAMPLE = Path(__file__).parents[3] / "config" / "evcharge-agent.example.toml"


def write(directory: Path, text: str) -> Path:
    path = directory / "agent.toml"
    path.write_text(text)
    return path


def problems_of(text: str, board_name: str | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        check_tables(tomllib.loads(text), "f.toml", board_name)
    return str(caught.value)


def test_defaults_run_without_a_file() -> None:
    assert load(None) == Settings()
    assert not load(None).ocpp.is_active
    assert load(None).identity == "EVC-0001"


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert load(write(tmp_path, "")) == Settings()


def test_the_example_file_fits() -> None:
    loaded = load(EXAMPLE)
    assert loaded.ocpp.is_active
    assert loaded.meter[0].name == "session-1"


def test_the_example_file_shows_the_defaults_except_where_it_says_example() -> None:
    lines = [line for line in EXAMPLE.read_text().splitlines() if "# example" not in line]
    shown = check_tables(tomllib.loads("\n".join(lines[: lines.index('name = "front"')])), "example", None).settings
    assert shown == Settings()


def test_the_example_file_mentions_every_setting_an_installer_may_set() -> None:
    text = EXAMPLE.read_text()
    missing = [
        path
        for path, entry in entries().items()
        if path.rpartition(".")[2] not in text
        and not (entry.meaning.ocpp_key is not None and entry.meaning.ocpp_key.access.value == "R")
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[limits]\nuser_limit_a = 5.9", "limits.user_limit_a = 5.9: allowed: a number from 6 to 80 A"),
        ("[limits]\nuser_limit_a = '16'", "limits.user_limit_a = '16': allowed: a number from 6 to 80 A"),
        ("[limits]\nuser_limit_a = true", "limits.user_limit_a = True: allowed: a number from 6 to 80 A"),
        ("[limits]\nuser_limit_a = inf", "limits.user_limit_a = inf: allowed: a number from 6 to 80 A"),
        ("[limits]\nuser_limit_a = 2020-01-01", "limits.user_limit_a"),
        ("[limits]\nagent_lost_a = 3", "limits.agent_lost_a = 3: allowed: 0, or a number from 6 to 80 A"),
        ("[limits]\nagent_lost_hold_s = 121", "limits.agent_lost_hold_s = 121: allowed: a number from 0 to 120 s"),
        ("[limits]\nuser_limit = 16", "did you mean 'user_limit_a'?"),
        ("[limit]\nuser_limit_a = 16", "did you mean 'limits'?"),
        ("[bord]\nname = 'sim'", "did you mean 'board'?"),
        ("limits = 3", "limits = 3: allowed: a table of named values"),
        ("[station]\nvendor = 'x23456789012345678901'", "allowed: a text of at most 20 characters"),
        ("[station]\nserial = 2020-01-01", "allowed: a text of at most 25 characters"),
        ("[site]\nmarket = 'GB'", "site.market = 'GB': allowed: none; GB is not supported by this version"),
        ("[site]\nmarket = 'FR'", "site.market = 'FR': allowed: none"),
        ("[site]\ntime_zone = 'Europe/Berln'", "allowed: the name of a time zone such as Europe/Berlin"),
        ("[site]\ntime_zone = '../../etc/passwd'", "allowed: the name of a time zone"),
        ("[site]\ntime_zone = ''", "allowed: the name of a time zone"),
        ("[ocpp]\nurl = 'http://x'", "allowed: ws://host"),
        ("[ocpp]\nurl = 'ws://user:secret@host/'", "allowed: ws://host"),
        ("[ocpp]\nurl = 'ws://host:70000/'", "allowed: ws://host"),
        ("[ocpp]\nurl = 'ws://[::1/'", "allowed: ws://host"),
        ("[ocpp]\nurl = 'ws://:80/'", "allowed: ws://host"),
        ("[ocpp]\nurl = 'ws://host:0/'", "allowed: ws://host"),
        ("[ocpp]\nurl = 'ws://csms..example.com/'", "parts between the dots have 1 to 63 characters"),
        (f"[ocpp]\nurl = 'ws://{'x' * 64}.example/'", "parts between the dots have 1 to 63 characters"),
        ('[ocpp]\nurl = "ws://ho\\u0000st/"', "parts between the dots have 1 to 63 characters"),
        (
            "[ocpp]\nsecurity_profile = 2",
            "ocpp.authorization_key = None: allowed: required while security_profile is 2",
        ),
        ("[ocpp]\nsecurity_profile = 4", "ocpp.security_profile = 4: allowed: a whole number from 0 to 3"),
        ("[ocpp]\nverify_host = false", "ocpp.verify_host = False: allowed: true; false is for the simulated board"),
        ("[ocpp]\nclient_key_file = 'k'", "ocpp.client_certificate_file = None: allowed: required beside"),
        ("[ocpp]\nproxy = 'socks5://p:1'", "ocpp.proxy = 'socks5://p:1': allowed: http://host[:port], without"),
        ("[ocpp]\nproxy = 'http://u:p@p:1'", "ocpp.proxy"),
        ("[ocpp]\nproxy = 'http://p:0'", "ocpp.proxy = 'http://p:0': allowed: http://host[:port], without"),
        ("[ocpp]\nciphers = 'weak'", "ocpp.ciphers = 'weak': allowed: one of standard, all"),
        ("[ocpp]\nsecurity_profile = 1", "ocpp.authorization_key = None: allowed: required while security_profile"),
        (
            "[ocpp]\nsecurity_profile = 1\nauthorization_key = 'k'\nidentity = 'a:b'",
            "ocpp.identity = 'a:b': allowed: a text without ':' while security_profile is 1",
        ),
        (
            "[station]\nserial = 'a:b'\n[ocpp]\nsecurity_profile = 1\nauthorization_key = 'k'",
            "station.serial = 'a:b': allowed: a text without ':'",
        ),
        ('[ocpp]\nidentity = "a\\u0000b"', "at most 48 characters, without control characters and line breaks"),
        ('[station]\nserial = "a\\nb"', "at most 25 characters, without control characters and line breaks"),
        ("[[meter]]\nname = 'a'\nhost = 'a..b'", "parts between the dots have 1 to 63 characters"),
        ('[[meter]]\nname = "a"\nhost = "a\\u0000b"', "meter[0].host"),
        ("[[meter]]\nname = 'a'\nhost = ''", "meter[0].host"),
        ("[ocpp.keys]\nHartbeatInterval = 3", "did you mean 'HeartbeatInterval'?"),
        ("[ocpp.keys]\nHeartbeatInterval = -1", "HeartbeatInterval = -1: allowed: a whole number from 1 to 86400 s"),
        ("[ocpp.keys]\nHeartbeatInterval = 1.5", "allowed: a whole number from 1 to 86400 s"),
        ("[ocpp.keys]\nOffPeakChargingTimeSlots = '22:00-08:00,07:00-09:00'", "none in another"),
        ("[ocpp.keys]\nMeterValuesSampledData = 'Energy'", "measurands of OCPP 1.6"),
        ("[ocpp.keys]\nheartbeatInterval = 9\nHeartbeatInterval = 9", "one mention; it is also ocpp.keys.Heartbeat"),
        ("[ocpp]\nkeys = 3", "ocpp.keys = 3: allowed: a table of named values"),
        ("[web]\nenabled = true", "web.enabled = True: allowed: false; this is not supported by this version"),
        ("[[meter]]\nrole = 'session'", "meter[0].name = None: allowed: required, letters"),
        (
            "[[meter]]\nname = 'a'\nrole = 'sesion'",
            "meter[0].role = 'sesion': allowed: session; did you mean 'session'?",
        ),
        ("[[meter]]\nname = 'a'\nrole = 'grid'", "grid is not supported by this version"),
        ("[[meter]]\nname = 'a'\n[[meter]]\nname = 'a'\nconnector = 2", "allowed: entries with different names"),
        ("[[meter]]\nname = 'a'\n[[meter]]\nname = 'b'", "allowed: one session meter for each connector"),
        ("[[reader]]\nname = 'a'\nconnectors = [1, 1]", "a list of different connectors from 1 to 2"),
        ("[[reader]]\nname = 'a'\nconnectors = [3]", "reader[0].connectors = [3]"),
        ("[meter]\nname = 'a'", "meter = "),
    ],
)
def test_what_does_not_fit_is_named_with_what_would(text: str, expected: str) -> None:
    told = problems_of(text)
    assert expected in told
    assert told.startswith("f.toml: ")
    assert "\n" not in told, "one problem, one line"


def test_all_problems_are_told_at_once() -> None:
    told = problems_of("[limits]\nuser_limit_a = 1\n[ocpp]\nurl = ''\n[ocpp.keys]\nnonsense = 1\n[web]\nenabled = true")
    assert len(told.splitlines()) == 4


def test_a_key_given_twice_is_an_error_and_the_secret_is_not_repeated() -> None:
    text = "[ocpp]\nauthorization_key = 'geheim1'\n[ocpp.keys]\nAuthorizationKey = 'geheim2'"
    told = problems_of(text)
    assert "it is also ocpp.authorization_key" in told
    assert "geheim" not in told


def test_a_secret_that_does_not_fit_is_not_repeated() -> None:
    assert "xxxx" not in problems_of(f"[ocpp]\nauthorization_key = '{'x' * 41}'")


def test_a_key_with_a_home_elsewhere_goes_there() -> None:
    text = "[ocpp]\nsecurity_profile = 1\n[ocpp.keys]\nauthorizationkey = 'geheim'\nMessageTimeout = 7"
    loaded = check_tables(tomllib.loads(text), "f.toml", None).settings
    assert loaded.ocpp.authorization_key is not None
    assert loaded.ocpp.authorization_key.get_secret_value() == "geheim"
    assert loaded.ocpp.call_timeout_s == 7
    assert "geheim" not in repr(loaded)


def test_read_only_keys_are_for_the_simulated_board() -> None:
    text = "[ocpp.keys]\nNumberOfConnectors = 2"
    assert "on the simulated board only" in problems_of(text)
    assert "on the simulated board only" in problems_of(text, "two-connector")
    assert check_tables(tomllib.loads(text), "f.toml", "sim").settings.ocpp.keys.number_of_connectors == 2


def test_a_combined_file_names_its_board(tmp_path: Path) -> None:
    text = (
        "[board]\nname = 'sim'\n[ocpp.keys]\nGetConfigurationMaxKeys = 20\n[sim]\ntcp_port = 0\n[[connector]]\nid = 1\n"
    )
    path = write(tmp_path, text)
    assert load(path).ocpp.keys.get_configuration_max_keys == 20
    agent, board, sim = split_file(path)
    assert set(agent) == {"ocpp"}
    assert set(board) == {"board", "connector"}
    assert sim == {"sim": {"tcp_port": 0}}


def test_names_without_effect_are_accepted_and_said() -> None:
    text = "[web]\nenabled = false\nlisten = ':80'"
    checked = check_tables(tomllib.loads(text), "f.toml", None)
    assert checked.settings == Settings()
    assert [note.partition(":")[0] for note in checked.notes] == [
        "web.listen",
    ]


def test_the_simulated_board_takes_files_from_this_machine_unless_the_file_says_otherwise() -> None:
    text = "[files]\nallow_hosts = ['files.lan', '10.0.0.0/8']\n[firmware]\nallow_unsigned = false"
    real, simulated = (check_tables(tomllib.loads(text), "f.toml", board).settings for board in (None, "sim"))
    for found in (real, simulated):
        assert found.files.allow_hosts == ("files.lan", "10.0.0.0/8")
        assert not found.firmware.allow_unsigned
    assert real.files.protocols == ("https", "ftps")
    assert simulated.files.protocols == ("http", "https", "ftp", "ftps")
    assert real.firmware.installer is None
    assert simulated.firmware.installer is Installer.SIMULATED
    assert check_tables({}, "f.toml", "sim").settings.firmware.allow_unsigned


@pytest.mark.parametrize(
    "text",
    [
        "[files]\nprotocols = ['sftp']",
        "[files]\nprotocols = ['http', 'http']",
        "[files]\nprotocols = 'http'",
        "[files]\nallow_hosts = ['a b']",
        "[files]\nallow_hosts = ['']",
        "[files]\nallow_hosts = ['fe80::1%eth0']",
        "[files]\nallow_hosts = ['1.2.3.4/99']",
        "[firmware]\ninstaller = 'package'",
        "[firmware]\ninstaller = 'shell'",
    ],
)
def test_what_is_no_protocol_host_or_installer_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="allowed"):
        check_tables(tomllib.loads(text), "f.toml", "sim")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"[limits]\nuser_limit_a = \n", "line 2"),
        (b"a = 1\na = 2\n", "line 2"),
        (b"[station]\nalias = '\xff'\n", "line 2: not UTF-8"),
        (b"x = " + b"[" * 5000, "not TOML"),
        (b"#" * 1_000_001, "larger than 1000000 bytes"),
    ],
)
def test_what_is_not_toml_names_the_line(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "agent.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=expected):
        load(path)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        load(tmp_path / "absent.toml")
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        load(tmp_path)


def test_the_tables_given_are_not_changed() -> None:
    tables = tomllib.loads("[ocpp.keys]\nMessageTimeout = 7\n[web]\nlisten = 'x'")
    check_tables(tables, "f.toml", None)
    assert tables == tomllib.loads("[ocpp.keys]\nMessageTimeout = 7\n[web]\nlisten = 'x'")


def names() -> st.SearchStrategy[str]:
    known = [part for path in entries() for part in path.split(".")]
    return st.one_of(st.sampled_from([*known, "reader", "meter", "web", "files", "ocpp", "keys"]), st.text(max_size=8))


def values() -> st.SearchStrategy[object]:
    scalars = st.one_of(
        st.booleans(), st.integers(), st.floats(), st.text(max_size=30), st.dates(), st.sampled_from(["GB", "ws://a"])
    )
    return st.recursive(
        scalars,
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names(), inner, max_size=4)),
        max_leaves=12,
    )


@settings(deadline=None, max_examples=300)
@given(st.dictionaries(names(), values(), max_size=5))
def test_any_tables_give_settings_or_problems(tables: dict[str, object]) -> None:
    try:
        outcome: object = check_tables(tables, "f.toml", None).settings
    except ConfigurationError as error:
        outcome = str(error)
    assert isinstance(outcome, Settings) or str(outcome).startswith("f.toml: ")


@pytest.mark.parametrize(
    "text",
    [
        "[ocpp]\nauthorisation_key = 'geheim'",
        "[ocpp]\nAuthorization = 'geheim'",
        "[ocpp]\nbasic_auth_password = 'geheim'",
        "[ocpp]\nMyToken = 'geheim'",
        "[station]\nsecret = 'geheim'",
        "[ocp]\nauthorization_key = 'geheim'",
        "[[ocpp]]\nauthorization_key = 'geheim'",
        "[ocpp.keys]\nAuthorizatonKey = 'geheim'",
        "[ocpp.keys]\nAuthorization = 'geheim'",
    ],
)
def test_a_secret_under_a_misspelt_name_is_not_shown(text: str) -> None:
    told = problems_of(text)
    assert "(hidden)" in told
    assert "geheim" not in told
