"""What a central system may change of its own security: the profile upwards, the key to a good one (A01, A05)."""

import asyncio

from evcharge_agent.ocpp16.keys import Configuration, RegistryConfiguration, station_of
from evcharge_agent.ocpp16.security.credentials import (
    MIN_KEY_BYTES,
    PROFILE_WITH_CERTIFICATE,
    TLS_FROM_PROFILE,
    key_bytes,
)
from evcharge_agent.ocpp16.security.vault import Vault
from evcharge_agent.settings.ocpp_keys import ChangeStatus, KeyRegistry
from evcharge_agent.settings.ocpp_section import BASIC_AUTH_PROFILES
from evcharge_agent.store.errors import StoreError

_PROFILE = "securityprofile"
_KEY = "authorizationkey"


class SecureConfiguration(RegistryConfiguration):
    """The `Configuration` that central systems change; what did not work is taken back by the plain one."""

    def __init__(self, registry: KeyRegistry, vault: Vault) -> None:
        super().__init__(registry)
        self._vault = vault
        settings: Configuration = self
        self._roots = vault.roots(lambda: settings.connection)
        self._own = vault.own(lambda: settings.connection, station_of(registry.live.settings))

    async def change(self, name: str, text: str) -> ChangeStatus:
        """Change a key; what would weaken or break the connection is Rejected."""
        plain = name.strip().casefold()
        try:
            if plain == _PROFILE:
                return await self._change_profile(name, text)
            if plain == _KEY:
                return await self._change_key(name, text)
        except StoreError:
            return ChangeStatus.REJECTED  # without the way back written down there is no way forth
        return await super().change(name, text)

    async def _change_profile(self, name: str, text: str) -> ChangeStatus:
        """Only upwards, and only with what the new one needs (A00.FR.005, A05.FR.02-.04)."""
        before = self.connection.security_profile
        if text == str(before):
            return ChangeStatus.ACCEPTED
        if text not in {"1", "2", "3"} or int(text) < before or not await self._has_all_for(int(text)):
            return ChangeStatus.REJECTED
        await self._vault.memory.load()
        await self._vault.memory.begin_trial(before, int(text))
        return await super().change(name, text)

    async def _has_all_for(self, profile: int) -> bool:
        if profile in BASIC_AUTH_PROFILES and self.connection.authorization_key is None:
            return False
        if profile >= TLS_FROM_PROFILE and self._vault.memory.anchor is None:
            has_root = await asyncio.to_thread(self._roots.has_explicit_root)
            if not has_root:
                return False
        return profile != PROFILE_WITH_CERTIFICATE or bool(await asyncio.to_thread(self._own.candidates))

    async def _change_key(self, name: str, text: str) -> ChangeStatus:
        """At least 16 bytes; the one that works is kept until the new one does (A01, rule 20)."""
        if len(key_bytes(text)) < MIN_KEY_BYTES:
            return ChangeStatus.REJECTED
        present = self.connection.authorization_key
        memory = self._vault.memory
        if present is not None and self.connection.security_profile in BASIC_AUTH_PROFILES:
            await memory.load()
            if memory.key_before is None and present.get_secret_value() != text:
                await memory.remember_key(present.get_secret_value())
        return await super().change(name, text)
