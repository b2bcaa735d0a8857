"""Rule 20 and what central systems do to a connection: always come back, with back-off, for ever."""

import asyncio

import pytest

from evcharge_agent.core.effects import ConnectorState
from evcharge_agent.core.events import CentralSystemChanged
from evcharge_agent.demo.central_script import Behaviour, Script
from evcharge_agent.demo.pipe import PipeEnd
from evcharge_agent.ocpp16.errors import ConnectFailedError, LinkClosedError
from evcharge_agent.ocpp16.link import TIMEOUTS_BEFORE_RECONNECT, Link
from tests.support.ocpp_charger import on_site
from tests.support.virtual_time import run_virtual


class Refusing:
    """Never connects; notes when it was asked."""

    def __init__(self):
        self.asked_s = []

    async def connect(self):
        self.asked_s.append(asyncio.get_running_loop().time())
        raise ConnectFailedError("nobody there")


class Idle:
    """A session that serves until it is told to end."""

    def __init__(self, connection):
        self.connection = connection
        self._end = asyncio.get_running_loop().create_future()

    async def run(self):
        return await self._end

    def end(self, reason):
        self._end.set_result(reason)

    async def request(self, payload, message_id=None):
        raise LinkClosedError("idle")


def make_link(connector, session=Idle, random=lambda: 0.0, ping=lambda: 30.0):
    return Link(
        connector, session, ping_interval_s=ping, reconnect_max_s=lambda: 60.0, random=random, on_change=lambda: None
    )


def waits(random, for_s):
    async def main():
        connector = Refusing()
        running = asyncio.create_task(make_link(connector, random=random).run())
        await asyncio.sleep(for_s)
        running.cancel()
        return [
            round(later - sooner, 3) for sooner, later in zip(connector.asked_s, connector.asked_s[1:], strict=False)
        ]

    return run_virtual(main())


def test_the_wait_between_attempts_doubles_to_the_cap_and_never_ends():
    assert waits(lambda: 0.0, 200.0) == [0.5, 1, 2, 4, 8, 16, 30, 30, 30, 30, 30]
    assert len(waits(lambda: 0.0, 7 * 86_400.0)) > 20_000


def test_the_wait_is_jittered_by_the_random_number():
    assert waits(lambda: 0.999, 20.0) == [1, 1.999, 3.998, 7.996]


@pytest.mark.parametrize(("lives_s", "wait_s"), [(60.0, 0.5), (59.0, 16.0), (0.0, 16.0)])
def test_after_a_good_connection_the_wait_starts_small_again(lives_s, wait_s):
    class Lives(Idle):
        async def run(self):
            await asyncio.sleep(lives_s)
            return "closed"

    class SixthTime(Refusing):
        async def connect(self):
            if len(self.asked_s) != 5:
                await super().connect()
            self.asked_s.append(asyncio.get_running_loop().time())
            return PipeEnd.pair()[0]

    async def main():
        connector = SixthTime()
        running = asyncio.create_task(make_link(connector, Lives).run())
        await asyncio.sleep(200.0)
        running.cancel()
        return connector.asked_s[6] - connector.asked_s[5] - lives_s

    assert run_virtual(main()) == pytest.approx(wait_s)


def test_why_there_is_no_connection_can_be_seen():
    async def main():
        link = make_link(Refusing())
        running = asyncio.create_task(link.run())
        await asyncio.sleep(1.0)
        running.cancel()
        return link.is_connected, link.last_error

    assert run_virtual(main()) == (False, "nobody there")


def test_a_mistake_in_a_session_only_costs_the_connection():
    class Broken(Idle):
        async def run(self):
            raise ZeroDivisionError

    class Pipes(Refusing):
        async def connect(self):
            self.asked_s.append(0.0)
            return PipeEnd.pair()[0]

    async def main():
        connector = Pipes()
        running = asyncio.create_task(make_link(connector, Broken).run())
        await asyncio.sleep(10.0)
        assert not running.done()
        running.cancel()
        return len(connector.asked_s)

    assert run_virtual(main()) > 3


def test_a_mistake_in_the_connector_is_a_failed_attempt():
    class Broken(Refusing):
        async def connect(self):
            self.asked_s.append(0.0)
            raise ZeroDivisionError

    async def main():
        connector = Broken()
        link = make_link(connector)
        running = asyncio.create_task(link.run())
        await asyncio.sleep(10.0)
        assert not running.done()
        running.cancel()
        return len(connector.asked_s) > 3, link.last_error

    assert run_virtual(main()) == (True, "ZeroDivisionError")


def test_a_caller_without_connection_lets_others_run():
    """Callers try again at once; a call that fails without a pause would stop the whole charger."""

    async def main():
        link = make_link(Refusing())
        calls = 0

        async def call_again():
            nonlocal calls
            while calls < 1000:
                calls += 1
                with pytest.raises(LinkClosedError):
                    await link.call(object())

        calling = asyncio.create_task(call_again())
        for _ in range(10):
            await asyncio.sleep(0)
        calling.cancel()
        return calls

    assert run_virtual(main()) <= 11


def test_the_ping_interval_acts_on_the_live_connection_and_on_the_next(tmp_path):
    async def test(site, _, central):
        intervals = [site.lines[0].line.ping_interval_s]
        await central.change_configuration("WebSocketPingInterval", "7")
        intervals.append(site.lines[0].line.ping_interval_s)
        assert central.connections == 1
        await central.drop()
        await central.until(lambda: central.connections > 1)
        await asyncio.sleep(0)
        return [*intervals, site.lines[0].line.ping_interval_s]

    assert on_site(tmp_path, test) == [30.0, 7.0, 7.0]


def test_a_stop_in_the_moment_the_line_breaks_is_obeyed(tmp_path):
    async def test(_, __, central):
        await central.drop()

    on_site(tmp_path, test)  # hangs, or is stuck, if the cancellation is lost


def test_a_half_open_line_is_given_up_after_a_series_of_time_outs(tmp_path):
    async def test(site, charger, central):
        site.lines[0].line.is_frozen = True
        for state in (ConnectorState.PREPARING, ConnectorState.CHARGING):
            charger.report(1, state)
        await charger.start("one")
        await asyncio.sleep(TIMEOUTS_BEFORE_RECONNECT * 30.0 + 20.0)
        await site.accepted()
        await charger.drained()
        return (
            central.connections,
            len(central.of("BootNotification")),
            central.states(1)[-1],
            len(central.transactions),
        )

    assert on_site(tmp_path, test) == (2, 1, "Charging", 1)


def test_a_central_system_that_never_answers_a_message_is_left_and_found_again(tmp_path):
    script = Script()
    script.expect("BootNotification", *[Behaviour(is_silent=True)] * TIMEOUTS_BEFORE_RECONNECT)

    async def test(_, __, central):
        return central.connections

    assert on_site(tmp_path, test, script) == 2


def test_the_core_hears_of_every_change(tmp_path):
    async def test(site, charger, central):
        await central.drop()
        await asyncio.sleep(0.1)
        await site.accepted()
        await asyncio.sleep(0)
        return [(one.is_connected, one.is_accepted) for one in charger.all(CentralSystemChanged)]

    assert on_site(tmp_path, test) == [(True, False), (True, True), (False, True), (True, True)]


def test_a_central_system_that_closes_at_once_is_not_stormed(tmp_path):
    async def test(_, __, central):
        async def close_everything():
            while True:
                await central.until(lambda: central.session is not None, 1e6)
                await central.drop(1000)
                await central.until(lambda: central.session is None, 1e6)

        closing = asyncio.create_task(close_everything())
        await asyncio.sleep(3600.0)
        closing.cancel()
        return central.connections

    assert on_site(tmp_path, test, ocpp={"reconnect_max_s": 300}) < 40


def test_new_credentials_are_used_after_the_answer(tmp_path):
    async def test(site, _, central):
        status = await central.change_configuration("AuthorizationKey", "new-key-0123456789")
        await asyncio.sleep(0.1)
        was_online = site.is_online
        await asyncio.sleep(10.0)
        return status, was_online, central.connections, site.charger.service.view.last_error

    ocpp = {"security_profile": 1, "authorization_key": "old-key-0123456789"}
    assert on_site(tmp_path, test, ocpp=ocpp) == ("Accepted", False, 2, None)
