"""The settings both rigs charge with: the demo's, with a short sample interval."""

from typing import Any

RIG_SETTINGS: dict[str, Any] = {
    "station": {"vendor": "evcharge", "model": "rig", "serial": "RIG-1"},
    "ocpp": {
        "url": "ws://central.invalid/ocpp",
        "reconnect_max_s": 5,
        "keys": {"MeterValueSampleInterval": 3, "ConnectionTimeOut": 60},
    },
    "meter": [
        {"name": "meter-1", "role": "session", "connector": 1, "map": "sdm630"},
        {"name": "meter-2", "role": "session", "connector": 2, "map": "sdm630"},
    ],
    "reader": [{"name": "reader", "kind": "sim", "connectors": [1, 2]}],
}
