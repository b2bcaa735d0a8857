"""The full wish for one connector on a lease (DESIGN D2). Pure."""

from evcharge_agent.core.rules import LimitRules
from evcharge_agent.core.state import Connector
from evcharge_hal.contract.channel import SetPoint
from evcharge_hal.contract.units import Amps, Seconds, offer_or_pause_a

LEASE_S = 5.0
REPEAT_S = 1.0
"""The lease is renewed at least this often."""
_LONGEST_HOLD_S = 120.0


def build(connector: Connector, rules: LimitRules) -> SetPoint:
    """The set-point that says what `connector.output` decided."""
    output = connector.output
    return SetPoint(
        connector.number,
        connector.session.plug_id,
        Amps(output.offer_a),
        output.is_permitted,
        connector.rating.phases if connector.rating is not None else 3,
        Seconds(LEASE_S),
        offer_or_pause_a(min(rules.agent_lost_a, output.offer_a)),
        Seconds(min(max(rules.agent_lost_hold_s, 0.0), _LONGEST_HOLD_S)),
        is_plug_kept=connector.kept_transaction is not None,
    )


def is_due(connector: Connector, wish: SetPoint, now_s: float) -> bool:
    """At once on a change, otherwise every second."""
    return wish != connector.output.set_point or now_s >= connector.output.sent_s + REPEAT_S
