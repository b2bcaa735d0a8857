"""The charge-point agent: sessions, OCPP, limits, storage."""
