"""The charger against a central system that shares no code with it: npm's `ocpp-rpc`, strict. `make interop`."""
