"""What the composition root sees to, whatever ports it is given."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ocpp.v16 import call

from evcharge_agent.app import Ports
from evcharge_agent.ocpp16.security.vault import Vault
from evcharge_agent.runtime.clock import Clock
from evcharge_agent.store.store import Store
from tests.support.memory_rig import MemoryRig
from tests.support.rig_settings import RIG_SETTINGS
from tests.support.virtual_time import run_virtual

KEY = "0123456789abcdef"


class RigWithoutVault(MemoryRig):
    """A charger that has neither certificates nor security events."""

    def _ports(self, clock: Clock, store: Store, vault: Vault) -> Ports:
        return replace(super()._ports(clock, store, vault), vault=None)


def secured(**ocpp: object) -> Mapping[str, Any]:
    return {**RIG_SETTINGS, "ocpp": {**RIG_SETTINGS["ocpp"], **ocpp}}


def test_without_a_vault_the_security_profile_does_not_fall_either(tmp_path: Path) -> None:
    async def main() -> None:
        async with RigWithoutVault.running(secured(security_profile=1, authorization_key=KEY), tmp_path) as rig:
            await rig.until_online()
            assert rig.central.session is not None
            for value in ("0", "2", "-1", "4"):
                order = call.ChangeConfiguration(key="SecurityProfile", value=value)
                assert (await rig.central.session.command(order)).status == "Rejected", value

    run_virtual(main())
