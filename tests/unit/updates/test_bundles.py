"""Bundles and the simulated installer: only whole, right and newer ones; nothing is written elsewhere."""

import hashlib
import io
import json
import random
import stat
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from evcharge_agent.updates.bundle import MAX_FILES, BadBundleError, build, order_of
from evcharge_agent.updates.simulated import SimulatedUpdater
from tests.support.firmware import bundle


def install(directory: Path, content: bytes, digest: str = "d" * 64) -> str | None:
    path = directory / "bundle"
    path.write_bytes(content)
    return SimulatedUpdater(directory).install(path, digest)


def version(directory: Path) -> str | None:
    return SimulatedUpdater(directory).version


def tree(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*")}


def archive(members: dict[str, bytes], manifest: object = None, **attributes: int) -> bytes:
    """A zip with whatever is wanted in it."""
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as file:
        if manifest is not None:
            file.writestr("manifest.json", manifest if isinstance(manifest, bytes) else json.dumps(manifest))
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = attributes.get("external_attr", 0)
            file.writestr(info, data, zipfile.ZIP_DEFLATED)
    return output.getvalue()


def manifest(names: dict[str, tuple[int, str]], **more: object) -> dict[str, object]:
    files = {name: {"size": size, "sha256": digest} for name, (size, digest) in names.items()}
    return {"format": 1, "version": "9.9", "files": files, **more}


def test_two_slots_take_turns_and_the_running_version_is_the_one_of_the_start(tmp_path: Path) -> None:
    updater = SimulatedUpdater(tmp_path)
    path = tmp_path / "bundle"
    path.write_bytes(bundle("1.2.0"))
    assert updater.install(path, "a" * 64) is None
    assert (updater.version, updater.digest) == (None, ""), "it runs after the restart"
    assert (version(tmp_path), SimulatedUpdater(tmp_path).digest) == ("1.2.0", "a" * 64)
    assert install(tmp_path, bundle("1.10.0")) is None
    assert version(tmp_path) == "1.10.0"
    slots = {path.name for path in (tmp_path / "firmware").iterdir() if path.is_dir()}
    assert slots == {"a", "b"}
    for path in (tmp_path / "firmware").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0
        assert path.is_dir() or not path.stat().st_mode & stat.S_IXUSR


def test_no_older_version_also_when_one_of_the_two_floors_is_lost(tmp_path: Path) -> None:
    assert install(tmp_path, bundle("2.0.0")) is None
    assert install(tmp_path, bundle("2.0.0")) is None, "the same again"
    for lost in ("floor", "current"):
        kept = (tmp_path / "firmware" / lost).read_bytes()
        (tmp_path / "firmware" / lost).write_bytes(b"\xff garbage")
        assert "older" in str(install(tmp_path, bundle("1.99.99")))
        (tmp_path / "firmware" / lost).write_bytes(kept)
    assert version(tmp_path) == "2.0.0"


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/etc/evil",
        "a/b",
        "a\\b",
        "..",
        ".",
        ".hidden",
        "x" * 65,
        "nul\0",
        "é",
        " a",
        "manifest.json/..",
        "C:evil",
    ],
)
def test_no_name_leads_out_of_the_slot(tmp_path: Path, name: str) -> None:
    content = archive({name: b"x"}, manifest({name: (1, "0" * 64)}))
    assert install(tmp_path, content) is not None
    assert tree(tmp_path) <= {"bundle", "firmware"}
    with pytest.raises(BadBundleError):
        build("1.0", {name: b"x"})


def test_no_links_no_devices_no_directories(tmp_path: Path) -> None:
    for kind in (stat.S_IFLNK, stat.S_IFDIR, stat.S_IFCHR, stat.S_IFIFO):
        content = archive({"a": b"/etc/passwd"}, manifest({"a": (11, "0" * 64)}), external_attr=(kind | 0o777) << 16)
        assert install(tmp_path, content) is not None
    assert version(tmp_path) is None


def packed_by(method: int, data: bytes = b"firmware" * 50) -> bytearray:
    """A bundle whose only file is packed by this method, otherwise right."""
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w", method) as file:
        entry = {"a": (len(data), hashlib.sha256(data).hexdigest())}
        file.writestr(zipfile.ZipInfo("manifest.json"), json.dumps(manifest(entry)), zipfile.ZIP_STORED)
        file.writestr(zipfile.ZipInfo("a"), data, method)
    return bytearray(output.getvalue())


def test_only_methods_of_bounded_memory_unpack(tmp_path: Path) -> None:
    """LZMA and its kin take as much memory as the file says, and fail in ways of their own."""
    for method in (zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2):
        assert "stored and deflated" in str(install(tmp_path, bytes(packed_by(method))))
    lzma = packed_by(zipfile.ZIP_LZMA)
    properties = lzma.index(b"\x09\x04\x05\x00") + 4
    lzma[properties : properties + 5] = b"\xff" * 5
    assert install(tmp_path, bytes(lzma)) is not None
    assert version(tmp_path) is None
    assert install(tmp_path, bytes(packed_by(zipfile.ZIP_STORED))) is None


def test_a_long_list_of_members_is_never_read(tmp_path: Path) -> None:
    """Its length, and nothing else, would decide how much memory it takes."""
    many = io.BytesIO()
    with zipfile.ZipFile(many, "w") as file:
        for number in range(3000):
            file.writestr(zipfile.ZipInfo(f"{number:060d}"), b"")
    long = many.getvalue()
    lied = bytearray(long)
    lied[-14:-10] = (1).to_bytes(2, "little") * 2
    for content in (long, bytes(lied)):
        tracemalloc.start()
        try:
            assert "at most" in str(install(tmp_path, content))
            _, most_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert most_bytes < len(content)


def test_nothing_may_stand_behind_the_end(tmp_path: Path) -> None:
    """Two readers of a file must not find two different lists in it."""
    good = bytes(packed_by(zipfile.ZIP_DEFLATED))
    assert "comment" in str(install(tmp_path, good + b"\0"))
    assert "comment" in str(install(tmp_path, good[:-2] + b"\x05\0" + b"abcde"))
    assert "64 bit" in str(install(tmp_path, good[:-22] + b"PK\x06\x07" + bytes(16) + good[-22:]))
    assert version(tmp_path) is None


def test_a_bomb_ends_at_the_size_it_tells(tmp_path: Path) -> None:
    content = archive({"a": bytes(50_000_000)}, manifest({"a": (1000, "0" * 64)}))
    assert len(content) < 100_000
    assert "larger" in str(install(tmp_path, content))
    assert sum(path.stat().st_size for path in (tmp_path / "firmware").rglob("*") if path.is_file()) <= 1000
    huge = manifest({str(number): (400_000_000, "0" * 64) for number in range(2)})
    assert "more than" in str(install(tmp_path, archive({"0": b"", "1": b""}, huge)))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK",
        b"\x5a" * 1000,
        archive({"a": b"x"}),
        archive({}, b"not json"),
        archive({}, b"[" * 100_000),
        archive({}, []),
        archive({}, {"format": 2, "version": "1", "files": {}}),
        archive({}, {"format": 1, "version": "1; rm", "files": {}}),
        archive({}, {"format": 1, "version": "1", "files": []}),
        archive({}, {"format": 1, "version": "1", "files": {"a": {"size": -1, "sha256": "0" * 64}}}),
        archive({}, manifest({"absent": (1, "0" * 64)})),
        archive({"more": b"x"}, manifest({})),
        archive({}, manifest({}, script="evil")),
        archive(
            {str(n): b"" for n in range(MAX_FILES + 1)}, manifest({str(n): (0, "0" * 64) for n in range(MAX_FILES + 1)})
        ),
        archive({}, b" " * 100_000),
    ],
    ids=range(16),
)
def test_what_is_no_bundle_changes_nothing(tmp_path: Path, content: bytes) -> None:
    assert install(tmp_path, content) is not None
    assert version(tmp_path) is None


def test_no_flipped_bit_and_no_missing_end_is_installed_as_something_else(tmp_path: Path) -> None:
    whole = bundle("5.0.0", size=600)
    chance = random.Random(7)
    for _ in range(150):
        broken = bytearray(whole)
        if chance.random() < 0.2:
            broken = broken[: chance.randrange(len(broken))]
        else:
            place = chance.randrange(len(broken))
            broken[place] ^= 1 << chance.randrange(8)
        if install(tmp_path, bytes(broken)) is None:
            # Bits nobody reads: time stamps and the like. The content is right all the same.
            slot = json.loads((tmp_path / "firmware" / "current").read_text())["slot"]
            assert (tmp_path / "firmware" / slot / "agent.img").read_bytes() == random.Random("5.0.0").randbytes(600)
            assert version(tmp_path) == "5.0.0"
    assert tree(tmp_path) <= {
        "bundle", "firmware", "firmware/current", "firmware/floor", "firmware/current.new", "firmware/floor.new",
        *(f"firmware/{slot}{name}" for slot in "ab" for name in ("", "/agent.img", "/readme.txt", "/.version")),
    }  # fmt: skip


def test_the_same_content_gives_the_same_bytes() -> None:
    assert build("1.0", {"b": b"2", "a": b"1"}) == build("1.0", {"a": b"1", "b": b"2"})


def test_versions_compare_by_their_numbers() -> None:
    assert order_of("1.10") > order_of("1.9.9") > order_of("1.9") == order_of("1.9.0.0")
    for wrong in ("", "1.", "a", "1.2.3.4.5", "-1", "1 ", "１"):  # noqa: RUF001 - a digit of another alphabet
        with pytest.raises(BadBundleError):
            order_of(wrong)


def test_a_disk_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    assert install(tmp_path, bundle("1.0.0")) is None
    (tmp_path / "firmware" / "b").write_text("in the way")
    path = tmp_path / "bundle"
    path.write_bytes(bundle("2.0.0"))
    with pytest.raises(OSError):
        SimulatedUpdater(tmp_path).install(path, "d" * 64)
    assert version(tmp_path) == "1.0.0"
    assert (tmp_path / "firmware" / "a" / "agent.img").exists()
