"""The generated reference names everything that is declared, and notices when it is out of date."""

from pathlib import Path

from evcharge_agent.settings import docs
from evcharge_agent.settings.catalogue import entries


def test_every_setting_and_key_is_in_the_reference() -> None:
    reference = docs.render_configuration() + docs.render_keys()
    for path, entry in entries().items():
        assert f"`{path.rpartition('.')[2]}`" in reference
        assert str(entry.info.description).split(". ", maxsplit=1)[0] in reference


def test_the_board_reference_comes_from_the_guards_declarations() -> None:
    text = docs.documents()["board.md"]
    assert "| `max_a` | Rated current | a number from 6 to 80 A |" in text
    assert "## [connector.pins]" in text


def test_every_row_of_a_table_has_as_many_cells_as_its_head() -> None:
    for name in ("board.md", "configuration.md", "ocpp-keys.md"):
        width = 0
        for line in docs.documents()[name].splitlines():
            cells = line.replace("\\|", "").count("|")
            width = (width or cells) if line.startswith("|") else 0
            assert cells == width or not line.startswith("|"), line


def test_what_is_out_of_date_is_shown_and_written(tmp_path: Path) -> None:
    assert "board.md" in docs.differences(tmp_path)
    docs.write(tmp_path)
    assert docs.differences(tmp_path) == ""
    path = tmp_path / "ocpp-keys.md"
    path.write_text(path.read_text().replace("HeartbeatInterval", "HartbeatInterval", 1))
    shown = docs.differences(tmp_path)
    assert "+| `HeartbeatInterval`" in shown
    assert "board.md" not in shown
