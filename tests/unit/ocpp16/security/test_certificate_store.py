"""Files: whole or not there, 0600 in 0700, whatever moment the power goes."""

import os
import stat

import pytest

from evcharge_agent.ocpp16.security.certificate_store import KEPT_REQUESTS, CertificateStore, Kind
from evcharge_agent.ocpp16.security.certificates import make_request
from evcharge_agent.store.disk import Disk
from tests.support.certificates import root


class PowerCutError(OSError):
    """Nothing works any more."""


class CutDisk(Disk):
    """The power goes with the `cut_at`-th step; a write that is cut leaves half."""

    def __init__(self, cut_at=None):
        self.cut_at = cut_at
        self.steps = 0

    def _step(self):
        self.steps += 1
        if self.cut_at is not None and self.steps >= self.cut_at:
            raise PowerCutError

    def open(self, path, flags):
        self._step()
        return super().open(path, flags)

    def write(self, descriptor, data):
        try:
            self._step()
        except PowerCutError:
            os.write(descriptor, data[: len(data) // 2])
            raise
        super().write(descriptor, data)

    def sync(self, descriptor):
        self._step()
        super().sync(descriptor)

    def replace(self, source, target):
        self._step()
        super().replace(source, target)

    def remove(self, path):
        self._step()
        super().remove(path)


def work(store):
    """Everything that is ever written: a request, its certificate, a root that comes and goes."""
    authority = root()
    made = make_request("EVC-1", "Operator")
    request = store.add_request(made.key_pem, made.request_pem)
    store.add_charge_point(authority.sign(made.request_pem), request)
    store.remove(store.add_root(Kind.CENTRAL_SYSTEM_ROOT, authority.pem))


def test_what_is_kept_comes_back_newest_first(tmp_path):
    store = CertificateStore(tmp_path / "c")
    old, new = root("old"), root("new")
    store.add_root(Kind.CENTRAL_SYSTEM_ROOT, old.pem)
    store.add_root(Kind.CENTRAL_SYSTEM_ROOT, new.pem, "")
    store.add_root(Kind.MANUFACTURER_ROOT, old.pem)
    again = CertificateStore(tmp_path / "c")
    assert [one.certificates for one in again.all(Kind.CENTRAL_SYSTEM_ROOT)] == [new.pem, old.pem]
    assert again.manufacturer_roots() == (old.pem,)


def test_files_are_the_owners_only_and_nobody_shows_a_key(tmp_path):
    os.umask(0)
    try:
        store = CertificateStore(tmp_path / "c")
        made = make_request("EVC-1", "Operator")
        stored = store.add_request(made.key_pem, made.request_pem)
    finally:
        os.umask(0o022)
    assert stat.S_IMODE((tmp_path / "c").stat().st_mode) == 0o700
    assert stat.S_IMODE(stored.path.stat().st_mode) == 0o600
    assert "PRIVATE" not in repr(stored) + repr(made)


def test_a_directory_open_to_others_is_closed(tmp_path):
    (tmp_path / "c").mkdir(mode=0o755)
    CertificateStore(tmp_path / "c").add_root(Kind.MANUFACTURER_ROOT, root().pem)
    assert stat.S_IMODE((tmp_path / "c").stat().st_mode) == 0o700


def test_only_the_newest_requests_are_kept(tmp_path):
    store = CertificateStore(tmp_path)
    made = [make_request("EVC-1", "Operator") for _ in range(KEPT_REQUESTS + 2)]
    for one in made:
        store.add_request(one.key_pem, one.request_pem)
    assert [one.key for one in store.all(Kind.REQUEST)] == [one.key_pem for one in reversed(made)][:KEPT_REQUESTS]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"-----BEGIN CERTIFICATE-----\n", b"x" * 100_000])
def test_a_damaged_file_is_left_out_and_said(tmp_path, content, caplog):
    store = CertificateStore(tmp_path)
    good = store.add_root(Kind.CENTRAL_SYSTEM_ROOT, root().pem)
    (tmp_path / "central-system-root-000009.pem").write_bytes(content)
    assert store.all(Kind.CENTRAL_SYSTEM_ROOT) == (good,)
    assert "central-system-root-000009.pem" in caplog.text
    assert store.add_root(Kind.CENTRAL_SYSTEM_ROOT, root().pem).number == 10


def steps_of_everything(directory):
    disk = CutDisk()
    work(CertificateStore(directory, disk))
    return disk.steps


def test_a_power_cut_at_every_step_leaves_whole_files_and_a_store_that_works(tmp_path):
    steps = steps_of_everything(tmp_path / "whole")
    assert steps >= 15
    for cut_at in range(1, steps + 1):
        directory = tmp_path / str(cut_at)
        with pytest.raises(PowerCutError):
            work(CertificateStore(directory, CutDisk(cut_at)))
        after = CertificateStore(directory)
        requests, own = after.all(Kind.REQUEST), after.all(Kind.CHARGE_POINT)
        # A key is there as long as somebody may still answer its request, or with its certificate.
        assert all(one.key and one.request for one in requests)
        assert all(one.key and one.certificates for one in own)
        assert len(after.all(Kind.CENTRAL_SYSTEM_ROOT)) <= 1
        work(after)
        assert not list(directory.glob("*.new"))
        assert len(after.all(Kind.CHARGE_POINT)) == len(own) + 1


def test_a_certificate_is_kept_before_its_request_goes(tmp_path):
    """Between the two the key is in both files, never in none."""
    seen = set()
    steps = steps_of_everything(tmp_path / "whole")
    for cut_at in range(1, steps + 1):
        directory = tmp_path / str(cut_at)
        with pytest.raises(PowerCutError):
            work(CertificateStore(directory, CutDisk(cut_at)))
        after = CertificateStore(directory)
        seen.add((len(after.all(Kind.REQUEST)), len(after.all(Kind.CHARGE_POINT))))
    assert seen == {(0, 0), (1, 0), (1, 1), (0, 1)}
