"""JSON schema of the configuration file, for editors and the reference."""

from typing import Any

from evcharge_agent.settings.loader import BOARD_TABLES, SIM_TABLES
from evcharge_agent.settings.sections import Settings

TITLE = "evcharge-agent.toml"


def json_schema() -> dict[str, Any]:
    """The schema of the agent's part; tables of the board and the simulator may stand beside it."""
    schema = Settings.model_json_schema(by_alias=True)
    for name in sorted(BOARD_TABLES | SIM_TABLES):
        owner = "the simulated world" if name in SIM_TABLES else "the guard (docs/board.md)"
        schema["properties"][name] = {"description": f"Belongs to {owner}."}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": TITLE}
