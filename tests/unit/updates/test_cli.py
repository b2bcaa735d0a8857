"""`evcharge-agent firmware`: what it makes is what the charger takes."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from evcharge_agent.cli import main
from evcharge_agent.ocpp16.signing import is_signed
from evcharge_agent.updates.simulated import SimulatedUpdater
from tests.support.firmware import make_root, make_signer


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_a_bundle_is_built_signed_checked_and_installed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    signer = make_signer(make_root(), kind)
    key, image, output = tmp_path / "key.pem", tmp_path / "agent.img", tmp_path / "bundle.zip"
    image.write_bytes(b"image")
    key.write_bytes(
        signer.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    assert main(["firmware", "build", "1.2.3", str(image), "--output", str(output)]) == 0
    assert "version 1.2.3" in capsys.readouterr().out
    assert main(["firmware", "sign", str(output), "--key", str(key)]) == 0
    assert is_signed(output, signer.pem, capsys.readouterr().out)
    assert SimulatedUpdater(tmp_path).install(output, "d" * 64) is None
    assert SimulatedUpdater(tmp_path).version == "1.2.3"


@pytest.mark.parametrize(
    "arguments",
    [
        ["build", "one", "{here}/key.pem", "--output", "{here}/out"],
        ["build", "1.0", "{here}/absent", "--output", "{here}/out"],
        ["build", "1.0", "{here}/key.pem", "--output", "{here}/no/out"],
        ["sign", "{here}/absent", "--key", "{here}/key.pem"],
        ["sign", "{here}/key.pem", "--key", "{here}/key.pem"],
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    (tmp_path / "key.pem").write_text("no key")
    assert main(["firmware", *(one.format(here=tmp_path) for one in arguments)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("evcharge-agent: ")
    assert error.count("\n") == 1
