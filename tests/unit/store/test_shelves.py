"""Shelves: small facts by name, written all or none, read whole."""

from tests.unit.store.examples import inline_store


async def test_values_are_read_back_by_shelf_and_in_the_order_of_their_names(tmp_path):
    store = inline_store(tmp_path)
    await store.keep("profiles", {"b": "2", "a": "1"})
    await store.keep("list", {"a": "other"})
    assert list((await store.kept("profiles")).items()) == [("a", "1"), ("b", "2")]
    assert await store.kept("list") == {"a": "other"}
    assert await store.kept("nothing") == {}
    store.close()


async def test_a_change_puts_replaces_and_removes_in_one(tmp_path):
    store = inline_store(tmp_path)
    await store.keep("list", {"a": "1", "b": "2"})
    await store.keep("list", {"b": "3", "c": "4"}, {"a", "never there"})
    assert await store.kept("list") == {"b": "3", "c": "4"}
    store.close()


async def test_what_is_whole_takes_the_place_of_all(tmp_path):
    store = inline_store(tmp_path)
    await store.keep("list", {"a": "1", "b": "2"})
    await store.keep("other", {"a": "1"})
    await store.keep("list", {"c": "3"}, is_whole=True)
    assert await store.kept("list") == {"c": "3"}
    assert await store.kept("other") == {"a": "1"}
    store.close()


async def test_what_was_kept_is_there_after_a_restart(tmp_path):
    store = inline_store(tmp_path)
    await store.keep("list", {"a": "1"})
    store.close()
    store = inline_store(tmp_path)
    assert await store.kept("list") == {"a": "1"}
    store.close()
