"""Shell completion: what bash offers for half a word, by the script the command prints."""

import subprocess
from pathlib import Path

import pytest

from evcharge_agent import completion
from evcharge_agent.cli import build_parser

ASK = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
_shtab_evcharge_agent
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module", name="script")
def written(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("completion") / "evcharge-agent.bash"
    path.write_text(completion.script(build_parser(), "bash"))
    return path


def offered(script: Path, *words: str) -> set[str]:
    """What bash offers for the last of `words`."""
    asked = ["bash", "-c", ASK, "ask", str(script), "evcharge-agent", *words]
    return set(subprocess.run(asked, check=True, capture_output=True, text=True, cwd=script.parent).stdout.split())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["st"], {"status", "start", "stop"}),
        (["config", ""], {"get", "set", "schema"}),
        (["config", "get", "limits.user"], {"limits.user_limit_a"}),
        (["config", "set", "ocpp.keys.Heart"], {"ocpp.keys.HeartbeatInterval"}),
        (["sim", "un"], {"unplug"}),
        (["demo", "--on"], {"--once"}),
        (["check-config", "evch"], {"evcharge-agent.bash"}),
        (["completion", "z"], {"zsh"}),
        (["nonsense", "x"], set()),
    ],
)
def test_half_a_word_is_completed(script, words, expected):
    assert expected <= offered(script, *words)
    assert expected or not offered(script, *words)


def test_every_shell_has_its_script():
    for shell in completion.SHELLS:
        assert "limits.user_limit_a" in completion.script(build_parser(), shell)
