"""How log lines look, and what is never in them."""

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evcharge_agent.core.effects import Level, Note
from evcharge_agent.core.events import CardPresented, Restored
from evcharge_agent.core.facts import AuthorizationStatus, IdTag, IdTagInfo
from evcharge_agent.runtime.logs import LogStyle, StructuredJournal, configure_logging, render_journal_line
from evcharge_agent.runtime.redaction import REDACTED, redacted, shorten_id_tag


@pytest.fixture
def root() -> Iterator[None]:
    """Give the root logger back as it was."""
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield
    logger.handlers[:] = handlers
    logger.setLevel(level)


def logged(style: LogStyle, *notes: Note) -> str:
    stream = io.StringIO()
    configure_logging("debug", style, stream)
    for note in notes:
        StructuredJournal().note(note)
    return stream.getvalue()


SWIPE = Note("card_presented", Level.WARNING, 2, "tx-1", {"id_tag": "CARD0001", "limit_a": 16.0, "why": "off peak"})


def test_a_note_for_journald(root):
    assert logged(LogStyle.JOURNAL, SWIPE) == (
        '<4>card_presented connector=2 transaction=tx-1 id_tag=CARD… limit_a=16.0 why="off peak"'
        " logger=evcharge_agent.core\n"
    )


def test_a_note_as_json(root):
    line = json.loads(logged(LogStyle.JSON, SWIPE))
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "card_presented",
        "level": "warning",
        "logger": "evcharge_agent.core",
        "connector": 2,
        "transaction": "tx-1",
        "id_tag": "CARD…",
        "limit_a": 16.0,
        "why": "off peak",
    }


def test_a_note_on_a_terminal(root):
    line = logged(LogStyle.CONSOLE, SWIPE)
    assert "card_presented" in line
    assert "id_tag=CARD…" in line
    assert "\x1b" not in line


@pytest.mark.parametrize(
    ("level", "priority"), [(Level.DEBUG, 7), (Level.INFO, 6), (Level.WARNING, 4), (Level.ERROR, 3)]
)
def test_levels_are_syslogs(root, level, priority):
    assert logged(LogStyle.JOURNAL, Note("x", level)).startswith(f"<{priority}>x")


def test_the_standard_librarys_loggers_pass_the_same_way(root):
    stream = io.StringIO()
    configure_logging("info", LogStyle.JOURNAL, stream)
    logging.getLogger("evcharge_agent.x").info("at %s of %d", "step", 3)
    logging.getLogger("evcharge_agent.x").debug("not shown")
    logging.getLogger("websockets").info("not shown")
    assert stream.getvalue() == "<6>at step of 3 logger=evcharge_agent.x\n"


def test_fields_that_are_named_like_the_loggers_own_do_not_hide_them(root):
    line = json.loads(logged(LogStyle.JSON, Note("real", fields={"event": "forged", "level": "forged", "logger": 1})))
    assert (line["event"], line["level"], line["event_"]) == ("real", "info", "forged")


def test_a_bug_has_its_traceback_and_its_event_without_the_id_tag(root):
    stream = io.StringIO()
    configure_logging("info", LogStyle.JOURNAL, stream)
    try:
        _ = 1 / 0
    except ZeroDivisionError as error:
        StructuredJournal().bug("step", CardPresented(IdTag("CARD0001"), (1,)), error)
    lines = stream.getvalue().splitlines()
    assert all(line.startswith("<3>") for line in lines)
    assert "doing=step" in lines[0]
    assert '"CARD…"' in lines[0]
    assert "ZeroDivisionError" in lines[-1]
    assert "CARD0001" not in stream.getvalue()


def test_a_bug_at_start_shows_nobodys_card(root):
    stream = io.StringIO()
    configure_logging("info", LogStyle.JSON, stream)
    known = {IdTag("CARD0001"): IdTagInfo(AuthorizationStatus.ACCEPTED)}
    StructuredJournal().bug("step", Restored(object(), (), known, "boot", "run"), ValueError("x"))
    assert "CARD0001" not in stream.getvalue()


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("authorization_key", "0123456789", REDACTED),
        ("AuthorizationKey", "0123456789", REDACTED),
        ("password", "x", REDACTED),
        ("api-token", "x", REDACTED),
        ("password", None, None),
        ("id_tag", "CARD0001", "CARD…"),
        ("idTag", "CARD0001", "CARD…"),
        ("parent_id_tag", "ABC", "A…"),
        ("id_tag", "", "…"),
        ("id_tag", None, None),
        ("limit_a", 16.0, 16.0),
        ("is_known_id_tag", True, True),
        (
            "payload",
            {"idTag": "CARD0001", "deep": [{"password": "x"}]},
            {"idTag": "CARD…", "deep": [{"password": REDACTED}]},
        ),
    ],
)
def test_secrets_and_tags_are_found_wherever_they_are(name, value, shown):
    assert redacted(name, value) == shown


@settings(deadline=None)
@given(st.text(max_size=20))
def test_a_shortened_tag_never_gives_away_more_than_four_characters_or_half(id_tag):
    shown = shorten_id_tag(id_tag).removesuffix("…")
    assert id_tag.startswith(shown)
    assert len(shown) <= min(4, len(id_tag) // 2)


@settings(deadline=None)
@given(
    event=st.text(),
    fields=st.dictionaries(st.sampled_from(["a", "b", "exception", "logger"]), st.text() | st.floats() | st.none()),
)
def test_one_event_is_one_line_whatever_it_says(event, fields):
    text = render_journal_line(None, "info", {"event": event, "level": "info", **fields} | {"exception": ""})
    assert "\n" not in text
    assert "\r" not in text


@pytest.mark.parametrize("level", ["loud", ""])
def test_an_unknown_level_is_refused(root, level):
    with pytest.raises(ValueError, match="level"):
        configure_logging(level)


def test_a_daemon_does_not_load_what_it_never_shows():
    """`rich` costs 4 MB wherever it happens to be installed."""
    program = (
        "import sys; import evcharge_agent.runtime.logs as logs; logs.configure_logging();"
        "print(sorted({'rich', 'aiohttp', 'pydantic_settings'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


@pytest.mark.parametrize(("variable", "is_journal"), [("8:12345", True), (None, False)])
def test_without_a_style_only_the_journal_gets_priorities(
    variable: str | None, *, is_journal: bool, monkeypatch: pytest.MonkeyPatch, root: None
) -> None:
    if variable is None:
        monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    else:
        monkeypatch.setenv("JOURNAL_STREAM", variable)
    stream = io.StringIO()
    configure_logging("info", stream=stream)
    StructuredJournal().note(SWIPE)
    assert stream.getvalue().startswith("<4>") is is_journal
    assert "card_presented" in stream.getvalue()
