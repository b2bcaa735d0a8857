"""What a central system is sent of a charger's logs: one archive, without secrets and full id tags.

Where the pieces come from is the composition root's business; here they are scrubbed, packed and bounded. Blocking.
"""

import gzip
import io
import json
import re
import tarfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from evcharge_agent.runtime.redaction import REDACTED, shorten_id_tag

MAX_LOG_BYTES = 16 * 1024 * 1024
_SHORTEST_SECRET = 4
_CREDENTIALS = re.compile(rb"(?<=://)[^/\s@\"']{1,512}@")
_TARGETS = re.compile(rb"((?:https?|ftps?)://[^/\s\"'?#]{1,300})[/?][^\s\"',]{0,2000}")
_WORD = re.compile(rb"(?<![0-9A-Za-z])[0-9A-Za-z]{4,20}(?![0-9A-Za-z])")
"""What most id tags are (CiString20)."""


@dataclass(frozen=True, slots=True)
class Window:
    """Which moments are wanted, seconds since 1970; None: no bound."""

    oldest_utc_s: float | None = None
    latest_utc_s: float | None = None

    def holds(self, utc_s: float) -> bool:
        """`utc_s` is wanted."""
        is_late_enough = self.oldest_utc_s is None or utc_s >= self.oldest_utc_s
        return is_late_enough and (self.latest_utc_s is None or utc_s <= self.latest_utc_s)


@dataclass(frozen=True, slots=True)
class Pieces:
    """What an archive is made of."""

    files: Mapping[str, bytes]
    """By name; empty: there is nothing."""
    secrets: Collection[str] = ()
    """Texts that are not to be in it, whatever put them there."""
    id_tags: Collection[str] = ()
    """Likewise; their first characters may stay."""


def scrub(data: bytes, secrets: Collection[str], id_tags: Collection[str]) -> bytes:
    """Take out of a text what is not to leave the charger, also user, password, path and query of addresses."""
    data = _CREDENTIALS.sub(b"", data)
    data = _TARGETS.sub(rb"\1", data)
    for secret in sorted(_spellings(secrets), key=len, reverse=True):
        data = data.replace(secret.encode(), REDACTED.encode())
    return _without_id_tags(data, _spellings(id_tags))


def _spellings(texts: Collection[str]) -> set[str]:
    """Those that are long enough to be found, as they are and as JSON writes them."""
    found = {one for one in texts if len(one) >= _SHORTEST_SECRET}
    return found | {json.dumps(one)[1:-1] for one in found}


def _without_id_tags(data: bytes, id_tags: Collection[str]) -> bytes:
    """Shorten tags, however many there are, in one pass or two.

    A tag is not part of a longer word: `1234` must not take the digits out of every number.
    """
    short = {tag.encode().lower(): shorten_id_tag(tag).encode() for tag in id_tags}

    def shortened(found: re.Match[bytes]) -> bytes:
        return short.get(found[0].lower(), found[0])

    odd = sorted((tag for tag in short if not _WORD.fullmatch(tag)), key=len, reverse=True)
    if odd:
        either = b"|".join(map(re.escape, odd))
        data = re.sub(rb"(?i)(?<![0-9A-Za-z])(?:" + either + rb")(?![0-9A-Za-z])", shortened, data)
    return _WORD.sub(shortened, data) if len(short) > len(odd) else data


def pack(pieces: Pieces, utc_s: float, limit_bytes: int = MAX_LOG_BYTES) -> bytes | None:
    """Make the archive (tar.gz), not larger than `limit_bytes`; None: there is nothing to send.

    Of a file that is too large the end is kept, for it is the newest.
    """
    if not any(pieces.files.values()):
        return None
    output = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=output, mode="wb", mtime=int(utc_s)) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for name, data in sorted(pieces.files.items()):
            # The cut may go through a secret, so it is made after the scrubbing.
            content = scrub(data, pieces.secrets, pieces.id_tags)[-(limit_bytes * 3 // 4) :]
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = len(content), int(utc_s), 0o644
            archive.addfile(entry, io.BytesIO(content))
    packed_bytes = output.getvalue()
    return packed_bytes if len(packed_bytes) <= limit_bytes else _pack_less(pieces, utc_s, limit_bytes)


def _pack_less(pieces: Pieces, utc_s: float, limit_bytes: int) -> bytes | None:
    """Without the largest piece: what does not compress is no log."""
    largest = max(pieces.files, key=lambda name: len(pieces.files[name]))
    left = {name: data for name, data in pieces.files.items() if name != largest}
    return pack(Pieces(left, pieces.secrets, pieces.id_tags), utc_s, limit_bytes)


def file_name(kind: str, utc_s: float) -> str:
    """Name a file of ours: nothing in it comes from outside."""
    stamp = datetime.fromtimestamp(utc_s, tz=UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{kind}-{stamp}.tar.gz" if kind != "security" else f"{kind}-{stamp}.log"
