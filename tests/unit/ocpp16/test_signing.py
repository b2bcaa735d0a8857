"""Signing certificates and signatures of firmware."""

import base64
import datetime as dt
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from evcharge_agent.ocpp16.signing import SignerStatus, is_signed, judge_signer
from tests.support.firmware import NOW, make_root, make_signer, revocation_list
from tests.support.virtual_time import START_UTC_S

ROOT = make_root()
DATA = b"firmware" * 1000


def judge(pem: str, roots: tuple[str, ...] = (ROOT.pem,), revoked: str = "") -> SignerStatus:
    return judge_signer(pem, roots, revoked, START_UTC_S).status


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_a_file_is_signed_by_its_signer_only(tmp_path: Path, kind: str) -> None:
    signer, other = make_signer(ROOT, kind), make_signer(ROOT, kind)
    path = tmp_path / "file"
    path.write_bytes(DATA)
    signature = signer.sign(DATA)
    assert is_signed(path, signer.pem, signature)
    assert is_signed(path, signer.pem, "\n".join(signature[i : i + 64] for i in range(0, len(signature), 64)))
    assert not is_signed(path, other.pem, signature)
    assert not is_signed(path, signer.pem, signer.sign(DATA + b"x"))
    path.write_bytes(DATA[:-1])
    assert not is_signed(path, signer.pem, signature)


@pytest.mark.parametrize("signature", ["", "!", "AAAA", base64.b64encode(bytes(256)).decode(), "é"])
def test_what_is_no_signature(tmp_path: Path, signature: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    assert not is_signed(path, make_signer(ROOT).pem, signature)


def test_who_may_sign() -> None:
    signer = make_signer(ROOT)
    assert judge(signer.pem) is SignerStatus.VALID
    assert judge(signer.pem, (make_root("Other").pem, ROOT.pem)) is SignerStatus.VALID
    assert judge(signer.pem, ()) is SignerStatus.INVALID
    assert judge(signer.pem, (make_root().pem,)) is SignerStatus.INVALID, "the same name, another key"
    assert judge(make_signer(ROOT, not_after=NOW - dt.timedelta(days=1)).pem) is SignerStatus.INVALID
    assert judge(make_signer(ROOT, usage=ExtendedKeyUsageOID.SERVER_AUTH).pem) is SignerStatus.INVALID
    assert judge(make_signer(signer).pem + signer.pem) is SignerStatus.INVALID, "signed by what is no authority"
    assert judge("no certificate") is SignerStatus.INVALID


def test_who_may_no_more() -> None:
    signer, other = make_signer(ROOT), make_signer(ROOT)
    listed = revocation_list(ROOT, signer)
    assert judge(signer.pem, revoked=listed) is SignerStatus.REVOKED
    assert judge(signer.pem, revoked="rubbish\n" + revocation_list(ROOT) + listed) is SignerStatus.REVOKED
    assert judge(other.pem, revoked=listed) is SignerStatus.VALID
    forged = revocation_list(make_root(), signer)
    assert judge(signer.pem, revoked=forged) is SignerStatus.VALID, "a list anybody could have made says nothing"
