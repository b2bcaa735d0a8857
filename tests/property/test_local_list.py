"""The local list against a model anybody can read: any updates in any order, with writes that fail and restarts."""

from hypothesis import given, settings
from hypothesis import strategies as st

from evcharge_agent.core.facts import AuthorizationStatus, IdTag, IdTagInfo
from evcharge_agent.core.local_list import Change, LocalList, Update, UpdateKind, decide, from_kept, to_keep
from tests.support.core_station import TestRules

RULES = TestRules(local_auth_list_max_length=4, send_local_list_max_length=3)
TAGS = ["a", "A", "b", "c", "d", "e", "f"]
INFOS = [IdTagInfo(status) for status in AuthorizationStatus]


def updates():
    """Updates of which most make sense."""
    entry = st.tuples(st.sampled_from(TAGS), st.sampled_from([*INFOS, None, None]))
    build = st.builds(
        lambda kind, version, entries: Update(kind, version, tuple((IdTag(tag), info) for tag, info in entries)),
        st.sampled_from(UpdateKind),
        st.integers(-1, 12),
        st.lists(entry, max_size=4),
    )
    return st.lists(st.tuples(build, st.sampled_from(["kept", "kept", "lost", "restart"])), max_size=12)


def model(version, entries, update):
    """The rules once more, in the words of the standard; None: refused."""
    names = [tag.lower() for tag, _ in update.entries]
    if len(names) > 3 or any(names.count(name) > 1 for name in names):
        return None
    new = dict(entries)
    if update.kind is UpdateKind.FULL:
        new = {}
        if update.entries and update.version < 1:
            return None
    elif not update.version > version:
        return None
    for tag, info in update.entries:
        if info is not None:
            new[tag.lower()] = info
        elif update.kind is UpdateKind.FULL:
            return None
        else:
            new.pop(tag.lower(), None)
    if len(new) > 4:
        return None
    return (update.version if new else 0), new


@settings(max_examples=300, deadline=None, derandomize=True)
@given(updates())
def test_list_and_disk_are_what_the_model_says(history):
    current, disk = LocalList(), {}
    version, entries = 0, {}
    for update, fate in history:
        decided = decide(current, update, RULES)
        expected = model(version, entries, update)
        assert (expected is None) is not isinstance(decided, Change)
        if isinstance(decided, Change) and fate != "lost":
            put, removed = to_keep(decided)
            disk = ({} if decided.is_whole else {name: one for name, one in disk.items() if name not in removed}) | put
            current = decided.result
            version, entries = expected
        if fate == "restart":
            current = from_kept(disk)
        assert current.version == version
        assert {tag.lower(): info for tag, info in current.entries.items()} == entries
        assert from_kept(disk) == current
