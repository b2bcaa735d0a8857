"""MemoryExhaustion: told when disk or memory are getting full, once until there is room again."""

import asyncio

from evcharge_agent.ocpp16.security.exhaustion import FINE_BYTES, LOOK_EVERY_S, LOW_BYTES, Free, Watch, look, watch
from evcharge_agent.ocpp16.security.ports import SecurityEvent
from tests.support.virtual_time import run_virtual

MUCH = 10 * FINE_BYTES


def told(*looks):
    state, found = Watch(), []
    for one in looks:
        state, words = state.looked(one)
        found.append(words)
    return found


def test_low_is_told_once_until_there_is_room_again():
    low, some, much = Free(LOW_BYTES - 1, MUCH), Free(LOW_BYTES + 1, MUCH), Free(FINE_BYTES, MUCH)
    words = "disk: 16383 KiB left"
    assert told(much, low, low, some, low, much, low) == ["", words, "", "", "", "", words]


def test_each_is_told_and_what_nobody_knows_is_not():
    assert told(Free(0, 0)) == ["disk: 0 KiB left, memory: 0 KiB left"]
    assert told(Free(0, MUCH), Free(0, 0)) == ["disk: 0 KiB left", "memory: 0 KiB left"]
    assert told(Free(None, None), Free(0, None), Free(None, None), Free(0, None)) == ["", "disk: 0 KiB left", "", ""]


def test_the_kernel_is_asked(tmp_path):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:         437900 kB\nMemFree: 1 kB\nMemAvailable:     9000 kB\n")
    found = look(tmp_path, meminfo)
    assert found.memory_bytes == 9000 * 1024
    assert found.disk_bytes > 0
    meminfo.write_text("nothing of the kind")
    assert look(tmp_path / "none", meminfo) == Free(None, None)
    assert look(tmp_path).memory_bytes > 0


def test_it_is_a_security_event():
    class Sink:
        def __init__(self):
            self.events = []

        def report(self, event, detail=""):
            self.events.append((event, detail))

    sink, left = Sink(), [MUCH]

    async def scenario():
        task = asyncio.create_task(watch(lambda: Free(left[0], MUCH), sink))
        await asyncio.sleep(5 * LOOK_EVERY_S)
        assert sink.events == []
        left[0] = 1024
        await asyncio.sleep(5 * LOOK_EVERY_S)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run_virtual(scenario())
    assert sink.events == [(SecurityEvent.MEMORY_EXHAUSTION, "disk: 1 KiB left")]
