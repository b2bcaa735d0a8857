"""One combined file becomes what each of the three processes gets."""

from pathlib import Path

import pytest

from evcharge_agent.demo.plan import UnusableFileError, demo_plan, plan_from_file

EXAMPLE = Path(__file__).parents[3] / "config" / "simulation.example.toml"


def test_the_example_can_be_simulated() -> None:
    plan = plan_from_file(EXAMPLE)
    assert plan.board["board"]["name"] == "sim"
    assert [meter["name"] for meter in plan.sim["sim"]["meters"]] == ["meter-1", "meter-2"]
    assert plan.sim["sim"]["gpio_at_death"] == "retained"
    assert set(plan.agent) == {"station", "ocpp", "limits", "meter", "reader"}


def test_the_demo_has_the_embedded_central_systems_address() -> None:
    plan = demo_plan("ws://127.0.0.1:1/ocpp", 60.0)
    assert plan.agent["ocpp"]["url"] == "ws://127.0.0.1:1/ocpp"
    assert plan.sim["sim"]["speed"] == 60.0


def test_without_a_board_table_it_is_the_simulated_one(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text('[station]\nserial = "X"\n')
    assert plan_from_file(path).board == {"board": {"name": "sim"}}


def test_a_house_profile_is_found_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "house.csv").write_text("time_s,l1_a,l2_a,l3_a,pv_w\n0,1,1,1,0\n")
    path = tmp_path / "my.toml"
    path.write_text('[board]\nname = "sim"\n[sim]\nhouse = "house.csv"\n')
    assert plan_from_file(path).sim["sim"]["house"] == str(tmp_path / "house.csv")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[board]\nname = "one-connector"\n', "allowed: 'sim'"),
        ("[sim]\nsped = 1\n", "did you mean 'speed'?"),
        ("[limits]\nuser_limit_a = 5\n", "a number from 6 to 80 A"),
        ('[board]\nname = "sim"\n[[connector]]\nid = 1\nmax_a = 630\n', "a number from 6 to 80 A"),
        ("[limits\n", "not TOML"),
    ],
)
def test_what_cannot_be_simulated_is_refused_in_words(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "my.toml"
    path.write_text(text)
    with pytest.raises(UnusableFileError) as caught:
        plan_from_file(path)
    assert complaint in str(caught.value)
    assert str(path) in str(caught.value)
