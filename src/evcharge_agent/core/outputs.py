"""What follows from the state: offers, set-points, status, indications, samples. One place for each."""

from collections.abc import Mapping
from dataclasses import replace

from evcharge_agent.core import (
    indicator,
    limits,
    overcurrent,
    permission,
    sampling,
    setpoint,
    smart_charging,
    status,
    transactions,
)
from evcharge_agent.core.effects import ConnectorState, ReportStatus, TellGuard
from evcharge_agent.core.limits import Limit
from evcharge_agent.core.rules import Rules
from evcharge_agent.core.session import Phase
from evcharge_agent.core.sharing import share_equally
from evcharge_agent.core.spans import Spans, look
from evcharge_agent.core.state import Connector, Reported, State, StatusReport
from evcharge_agent.core.turn import Turn
from evcharge_hal.contract.channel import Indicate


def derive(turn: Turn) -> None:
    """Bring every output in line with the state, and say what has changed."""
    connectors = {number: turn.connector(number) for number in turn.numbers}
    basis = smart_charging.basis_of(connectors, turn.state.charging, turn.run)
    known = turn.state.charging.spans
    spans = look(basis, turn.now, known)
    if spans is not known:
        turn.state = replace(turn.state, charging=replace(turn.state.charging, spans=spans))
    found = chains(connectors, turn.rules, spans)
    for number in turn.numbers:
        _offer(turn, number, found[number])
        _sample(turn, number)
        _report(turn, number)
        _tell_guard(turn, number)
    _report_station(turn)


def chains(connectors: Mapping[int, Connector], rules: Rules, spans: Spans) -> dict[int, tuple[Limit, ...]]:
    """All limits of every connector; what holds for the station is divided among those that charge."""
    by_profile = smart_charging.connector_limits(spans)
    ceilings = {number: _ceilings(one) for number, one in connectors.items()}
    user = limits.user_limit(rules.limits)
    own = {number: (*ceilings[number], user, *by_profile[number]) for number in connectors}
    sharing = _sharing(connectors, own)
    installed_a = rules.limits.installer_limit_a
    installed = share_equally(installed_a, sharing)
    most = smart_charging.station_limit(spans)
    shares = share_equally(most.current_a.minimum, sharing) if most is not None else {}
    found: dict[int, tuple[Limit, ...]] = {}
    for number in connectors:
        installer = limits.installer_limit(rules.limits, installed.get(number, installed_a))
        chain = (*ceilings[number], installer, user, *by_profile[number])
        found[number] = chain if most is None else (*chain, smart_charging.share_of(most, shares.get(number)))
    return found


def _ceilings(connector: Connector) -> tuple[Limit, ...]:
    return limits.guard_limits(connector.seen.ceilings if connector.seen is not None else ())


def _sharing(connectors: Mapping[int, Connector], own: Mapping[int, tuple[Limit, ...]]) -> list[int]:
    """Those that charge, the first to begin first; one that may not, whatever its share, leaves it to the others."""
    charging = {
        number: transaction.began_s
        for number, connector in connectors.items()
        if permission.may_charge(connector.session) and limits.combine(own[number]).offer_a > 0.0
        for transaction in (connector.session.transaction,)
        if transaction is not None
    }
    return sorted(charging, key=lambda number: (charging[number], number))


def next_deadline_s(state: State, rules: Rules, connector: Connector) -> list[float | None]:
    """When an output of this connector changes by the clock alone."""
    output = connector.output
    transaction = connector.session.transaction
    is_sent = state.guard.is_current and connector.session.phase is not Phase.RESUMING
    is_sampled = connector.session.phase is Phase.ACTIVE and transaction is not None
    minimum_s = rules.session.minimum_status_duration_s
    return [
        output.sent_s + setpoint.REPEAT_S if is_sent else None,
        limits.raise_deadline_s(output.offer_a, output.target_a, output.raised_s),
        sampling.due_s(transaction, rules.sampling) if is_sampled and transaction is not None else None,
        transactions.register_due_s(transaction) if is_sampled and transaction is not None else None,
        status.settle_deadline_s(connector.reported, minimum_s),
        transaction.began_s + permission.SETTLE_S if transaction is not None else None,
    ]


def _offer(turn: Turn, number: int, chain: tuple[Limit, ...]) -> None:
    connector = turn.connector(number)
    is_permitted = permission.may_charge(connector.session)
    target = limits.combine(chain)
    target_a = target.offer_a if is_permitted else 0.0
    before = connector.output
    offer_a, raised_s = limits.next_offer(before.offer_a, target_a, before.raised_s, turn.now_s)
    acting = target.acting.reason if target.acting is not None else None
    output = replace(
        before, offer_a=offer_a, target_a=target_a, raised_s=raised_s, is_permitted=is_permitted, acting=acting
    )
    draw = connector.draw
    if connector.session.phase is not Phase.RESUMING:
        draw = overcurrent.note_offer(draw, offer_a, turn.now_s)
    turn.put(replace(connector, output=output, draw=draw))
    if offer_a != before.offer_a:
        reason = acting.value if acting is not None and is_permitted else None
        turn.note("offer_changed", number, offer_a=offer_a, reason=reason)


def _sample(turn: Turn, number: int) -> None:
    """Not before the guard's word on a transaction of an earlier run: it may have ended with what is on the disk."""
    current = turn.session(number)
    if current.phase is not Phase.ACTIVE or current.transaction is None:
        return
    due_s = sampling.due_s(current.transaction, turn.rules.sampling)
    if due_s is not None and turn.now_s >= due_s:
        transactions.record_periodic(turn, number)
    transactions.keep_register(turn, number)


def _report(turn: Turn, number: int) -> None:
    connector = turn.connector(number)
    derived = status.derive_connector(connector, turn.state.guard, turn.now_s)
    minimum_s = turn.rules.session.minimum_status_duration_s
    reported, report = status.settle(connector.reported, derived, minimum_s, turn.now)
    turn.put(replace(connector, reported=reported))
    before = connector.reported.last
    between = status.bridge(before.state, report.state) if before is not None and report is not None else None
    if between is not None:
        _emit_status(turn, number, reported, StatusReport(between))
    _emit_status(turn, number, reported, report)


def _report_station(turn: Turn) -> None:
    connectors = [turn.connector(number) for number in turn.numbers]
    inoperative = turn.state.orders.out
    derived = status.derive_station(turn.state.guard, turn.state.reported, connectors, turn.now_s, inoperative)
    reported, report = status.settle(turn.state.reported, derived, 0.0, turn.now)
    turn.state = replace(turn.state, reported=reported)
    _emit_status(turn, 0, reported, report)


def _emit_status(turn: Turn, number: int, reported: Reported, report: StatusReport | None) -> None:
    if report is None:
        return
    since = reported.since if reported.since is not None else turn.now
    turn.emit(ReportStatus(number, report.state, report.error_code, report.info, report.vendor_error_code, since))


def _tell_guard(turn: Turn, number: int) -> None:
    """Set-point and indication; nothing before the guard's first word, and none while it holds for us."""
    if not turn.state.guard.is_current:
        return
    connector = turn.connector(number)
    # Who stops a charge sees it at once, not when the last register is read.
    present = replace(connector, session=replace(connector.session, ending=None))
    derived = status.derive_connector(present, turn.state.guard, turn.now_s)
    state = derived.state if derived is not None else ConnectorState.UNAVAILABLE
    is_offline = turn.rules.is_central_system_enabled and not turn.state.central.is_connected
    indication = indicator.decide_indication(state, connector.session.phase, is_offline)
    if indication is not connector.output.indication:
        turn.emit(TellGuard(Indicate(number, indication)))
        connector = replace(connector, output=replace(connector.output, indication=indication))
    wish = setpoint.build(connector, turn.rules.limits)
    if connector.session.phase is not Phase.RESUMING and setpoint.is_due(connector, wish, turn.now_s):
        turn.emit(TellGuard(wish))
        connector = replace(connector, output=replace(connector.output, set_point=wish, sent_s=turn.now_s))
    turn.put(connector)
