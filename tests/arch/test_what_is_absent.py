"""Invariants of the whole source: what is absent."""

import ast
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.arch.source import AGENT, ROOT, dotted_name, files_of_tests, imported_modules, nodes_of, place, source_files

Rule = Callable[[ast.AST], bool]

WALL_CLOCKS = frozenset(
    {"time.time", "time.time_ns", "time.localtime", "time.gmtime", "datetime.now", "datetime.utcnow", "datetime.today"}
)
CLOCK = AGENT / "runtime" / "clock.py"


def swallows_everything(node: ast.AST) -> bool:
    """`except Exception: pass`, in any spelling."""
    if not isinstance(node, ast.ExceptHandler):
        return False
    catches_all = node.type is None or dotted_name(node.type) in {"Exception", "BaseException"}
    body = [part for part in node.body if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))]
    return catches_all and all(isinstance(part, ast.Pass | ast.Continue) for part in body)


def suppresses_everything(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call)
        and dotted_name(node.func) in {"contextlib.suppress", "suppress"}
        and any(dotted_name(argument) in {"Exception", "BaseException"} for argument in node.args)
    )


def uses_a_shell(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        if dotted_name(node.func) in {
            "os.system",
            "os.popen",
            "subprocess.getoutput",
            "asyncio.create_subprocess_shell",
        }:
            return True
        return any(
            keyword.arg == "shell" and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is False)
            for keyword in node.keywords
        )
    return False


def runs_text_as_code(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and dotted_name(node.func) in {"eval", "exec", "compile", "builtins.eval"}


def trusts_anybody(node: ast.AST) -> bool:
    """TLS without checking the certificate."""
    name = dotted_name(node)
    return name.endswith((".CERT_NONE", "._create_unverified_context")) or name == "CERT_NONE"


def blocks_the_loop(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and dotted_name(node.func) == "time.sleep"


def reads_the_wall_clock(node: ast.AST) -> bool:
    name = dotted_name(node)
    return name in WALL_CLOCKS or name.removeprefix("datetime.") in WALL_CLOCKS


RULES: dict[Rule, str] = {
    swallows_everything: "try:\n    f()\nexcept Exception:\n    pass",
    suppresses_everything: "with contextlib.suppress(Exception): f()",
    uses_a_shell: "subprocess.run('x', shell=True)",
    runs_text_as_code: "eval('1')",
    trusts_anybody: "context.verify_mode = ssl.CERT_NONE",
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_absent_everywhere(rule: Rule) -> None:
    assert [place(path, node) for path in source_files() for node in nodes_of(path) if rule(node)] == []


@pytest.mark.parametrize(("rule", "text"), RULES.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_each_rule_recognises_what_it_forbids(rule: Rule, text: str) -> None:
    assert any(rule(node) for node in ast.walk(ast.parse(text)))


def test_nothing_is_read_that_could_run_code() -> None:
    risky = {"pickle", "marshal", "shelve", "yaml", "dill"}
    assert {str(path): found for path in source_files() if (found := imported_modules(path) & risky)} == {}


def test_the_agent_reads_clocks_in_one_place_and_never_blocks_its_loop() -> None:
    """DESIGN D9. The demo's central system has a clock of its own, as a real one has."""
    demo = AGENT / "demo"
    agent = [path for path in source_files() if path.is_relative_to(AGENT) and not path.is_relative_to(demo)]
    agent.remove(CLOCK)
    found = [
        place(path, node)
        for path in agent
        for node in nodes_of(path)
        if reads_the_wall_clock(node) or blocks_the_loop(node)
    ]
    assert found == []
    assert any(reads_the_wall_clock(node) for node in nodes_of(CLOCK)), "the rule sees the one place"


def test_the_guard_never_reads_the_wall_clock() -> None:
    guard = ROOT / "hal" / "evcharge_hal" / "guard"
    assert [place(p, node) for p in guard.rglob("*.py") for node in nodes_of(p) if reads_the_wall_clock(node)] == []


def test_no_unfinished_work_is_left_behind() -> None:
    mark = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b")
    files = [*source_files(), *files_of_tests()]
    assert [str(path.relative_to(ROOT)) for path in files if mark.search(path.read_text("utf-8"))] == []


def skips(node: ast.AST) -> bool:
    return dotted_name(node) in {
        "pytest.skip",
        "pytest.mark.skip",
        "pytest.mark.skipif",
        "pytest.importorskip",
        "pytest.xfail",
        "pytest.mark.xfail",
    }


def replaces_own_code(node: ast.AST) -> bool:
    name = dotted_name(node)
    return name.startswith(("unittest.mock", "mock.patch")) or name == "monkeypatch.setattr"


def is_not_this_file(path: Path) -> bool:
    return path != Path(__file__)


@pytest.mark.parametrize("rule", [skips, replaces_own_code], ids=lambda rule: rule.__name__)
def test_absent_in_tests(rule: Rule) -> None:
    files = filter(is_not_this_file, files_of_tests())
    assert [place(path, node) for path in files for node in nodes_of(path) if rule(node)] == []


def test_tests_do_not_import_mocks() -> None:
    mocks = {"unittest.mock", "mock", "freezegun", "time_machine"}
    assert {str(path): found for path in files_of_tests() if (found := imported_modules(path) & mocks)} == {}
