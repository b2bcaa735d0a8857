"""Hostile addresses, and a judge that knows the grammar by itself: no regular expressions, no code of ours."""

import ipaddress
import random
import string
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

PORTS = {"http": 80, "https": 443, "ftp": 21, "ftps": 21}
UNRESERVED = set(string.ascii_letters + string.digits + "-._~")
SUB_DELIMITERS = set("!$&'()*+,;=")
HEX = set(string.hexdigits)

SEEDS = (
    "https://example.com/firmware/1.bin",
    "http://user:secret@example.com:8080/a/b?c=d",
    "ftp://user:p%40ss@192.0.2.7:2121/dir/file",
    "ftps://[2001:db8::1]:990/x",
    "HTTPS://ExAmPlE.com",
    "ftp://files.example.com/",
)
PIECES = (
    "\r\n", "\n", "\r", "\t", "\0", " ", "%0d%0a", "%0D", "%00", "%", "%2", "%zz", "%2e%2e", "/../", "/./", "..", "\\", "%5c",
    "%2f", "@", "@@", ":", "::", "//", "/", "?", "#", "#x", "[", "]", "[::1]", "[::1%25eth0]", "[fe80::1%eth0]", "%25",
    "127.0.0.1", "127.1", "0x7f.1", "2130706433", "0177.0.0.1", "1.2.3.4.", "256.1.1.1", "localhost", "file:", "gopher:",
    "sftp", "javascript:", "http", ":0", ":65535", ":65536", ":99999", ":+80", ":\uff18\uff10", "ⓔxample", "é", "\u2028", "。", "\x7f",
    "\x1b[2J", "'", '"', "<", ">", "`", "$(id)", ";id", "|id", "{}", "^", "x" * 64, "a." * 60, "-", "_", "..com", ".com.", "%c3%a9",
    "%ff", "user:pass@", "user@", ":@", "%40",
)  # fmt: skip


def hostile_urls(number: int, seed: int) -> Iterator[str]:
    """That many texts, some of them even addresses."""
    chance = random.Random(seed)
    for _ in range(number):
        text = chance.choice(SEEDS)
        for _ in range(chance.randint(1, 4)):
            place = chance.randint(0, len(text))
            match chance.randint(0, 4):
                case 0:
                    text = text[:place] + chance.choice(PIECES) + text[place:]
                case 1:
                    text = text[:place] + text[place + chance.randint(1, 4) :]
                case 2:
                    text = text[:place] + chr(chance.randint(0, 0x17F)) + text[place + 1 :]
                case 3:
                    text = text[:place] + chance.choice(SEEDS)[chance.randint(0, 12) :]
                case _:
                    text = chance.choice(PIECES) + text if chance.random() < 0.3 else text + chance.choice(PIECES)
        yield text


def is_in_grammar(text: str) -> bool:
    """Judge an address, part by part."""
    if not 1 <= len(text) <= 512 or any(not 0x21 <= ord(one) <= 0x7E for one in text):
        return False
    scheme, colon, rest = text.partition("://")
    if not colon or scheme.lower() not in PORTS:
        return False
    ends = [place for place in (rest.find(mark) for mark in "/?#") if place >= 0]
    end = min(ends, default=len(rest))
    authority, tail = rest[:end], rest[end:]
    if "#" in tail:
        return False
    path, mark, query = tail.partition("?")
    if mark and scheme.lower() not in ("http", "https"):
        return False
    return _is_authority(authority) and _is_path(path) and _is_text(query, ":@/?")


def _is_authority(text: str) -> bool:
    head, mark, tail = text.rpartition("@")
    if mark:
        user, _, password = head.partition(":")
        if not _is_text(user, "") or not _is_text(password, ":"):
            return False
    if tail.startswith("["):
        address, bracket, port = tail[1:].partition("]")
        try:
            ipaddress.IPv6Address(address)
        except ValueError:
            return False
        if not bracket or "%" in address or (port and not port.startswith(":")):
            return False
        return not port or _is_port(port[1:])
    host, colon, port = tail.partition(":")
    return _is_name(host) and (not colon or _is_port(port))


def _is_port(text: str) -> bool:
    return 1 <= len(text) <= 5 and set(text) <= set(string.digits) and 1 <= int(text) <= 65535


def _is_name(host: str) -> bool:
    labels = host.split(".")
    last = labels[-1].lower()
    is_number = last != "" and (set(last) <= set(string.digits) or (last.startswith("0x") and set(last[2:]) <= HEX))
    if is_number:
        if len(labels) != 4 or any(not part or not set(part) <= set(string.digits) for part in labels):
            return False
        return all(str(int(part)) == part and int(part) <= 255 for part in labels)
    allowed = set(string.ascii_letters + string.digits + "-_")
    return len(host) <= 253 and all(
        1 <= len(label) <= 63 and set(label) <= allowed and label[0] != "-" and label[-1] != "-" for label in labels
    )


def _is_path(path: str) -> bool:
    for segment in path.split("/"):
        if not _is_text(segment, ":@"):
            return False
        decoded = unquote_to_bytes(segment)
        if decoded in (b".", b"..") or b"/" in decoded or b"\\" in decoded:
            return False
    return True


def _is_text(text: str, more: str) -> bool:
    """Allowed characters and escapes; what these hide is printable UTF-8."""
    place = 0
    while place < len(text):
        if text[place] == "%":
            if len(text) < place + 3 or not set(text[place + 1 : place + 3]) <= HEX:
                return False
            place += 3
        elif text[place] in UNRESERVED or text[place] in SUB_DELIMITERS or text[place] in more:
            place += 1
        else:
            return False
    try:
        return unquote_to_bytes(text).decode().isprintable()
    except UnicodeDecodeError:
        return False
