-- The ledger (transactions and their samples), the outbox, the authorisation cache and the settings overlay.
-- A stamp is three columns: CLOCK_MONOTONIC of the boot named beside it, UTC as then known, and whether UTC was trusted.

CREATE TABLE ledger (
    transaction_key TEXT PRIMARY KEY,
    connector INTEGER NOT NULL,
    id_tag TEXT NOT NULL,
    plug_id TEXT NOT NULL,
    reservation_id INTEGER,
    meter_start_wh INTEGER NOT NULL,
    started_monotonic_s REAL NOT NULL,
    started_utc_s REAL NOT NULL,
    started_is_trusted INTEGER NOT NULL,
    started_boot_id TEXT NOT NULL,
    transaction_id INTEGER,
    tag_status TEXT,
    tag_parent TEXT,
    tag_expiry_utc_s REAL,
    last_energy_wh INTEGER NOT NULL,
    last_monotonic_s REAL NOT NULL,
    last_utc_s REAL NOT NULL,
    last_is_trusted INTEGER NOT NULL,
    last_boot_id TEXT NOT NULL,
    meter_stop_wh INTEGER,
    stopped_monotonic_s REAL,
    stopped_utc_s REAL,
    stopped_is_trusted INTEGER,
    stopped_boot_id TEXT,
    stop_reason TEXT,
    stop_id_tag TEXT
) STRICT;

CREATE INDEX ledger_open ON ledger (transaction_key) WHERE stop_reason IS NULL;

CREATE TABLE sample (
    sample_id INTEGER PRIMARY KEY,
    transaction_key TEXT NOT NULL REFERENCES ledger,
    connector INTEGER NOT NULL,
    taken_monotonic_s REAL NOT NULL,
    taken_utc_s REAL NOT NULL,
    taken_is_trusted INTEGER NOT NULL,
    taken_boot_id TEXT NOT NULL,
    context TEXT NOT NULL,
    reading TEXT NOT NULL,
    measurands TEXT NOT NULL,
    offered_a REAL,
    temperature_c REAL
) STRICT;

-- Makes a repeated commit of the same sample harmless.
CREATE UNIQUE INDEX sample_identity ON sample (transaction_key, taken_boot_id, taken_monotonic_s, context);

CREATE TABLE outbox (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    message_id TEXT NOT NULL,
    transaction_key TEXT NOT NULL REFERENCES ledger,
    kind TEXT NOT NULL CHECK (kind IN ('start', 'stop', 'sample')),
    sample_id INTEGER REFERENCES sample,
    attempts INTEGER NOT NULL DEFAULT 0,
    is_parked INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX outbox_parked ON outbox (transaction_key) WHERE is_parked;

CREATE TABLE authorisation (
    entry INTEGER PRIMARY KEY AUTOINCREMENT,
    id_tag TEXT NOT NULL UNIQUE COLLATE NOCASE,
    status TEXT NOT NULL,
    parent TEXT,
    expiry_utc_s REAL
) STRICT;

CREATE TABLE overlay (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
