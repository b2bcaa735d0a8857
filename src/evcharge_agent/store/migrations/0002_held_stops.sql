-- A stop is written when it is decided, but its message waits until the energy has really ended and the register
-- was read once more. Held: the row is closed with provisional values, nothing of its end is in the outbox.

ALTER TABLE ledger ADD COLUMN is_stop_held INTEGER NOT NULL DEFAULT 0;

CREATE INDEX ledger_held ON ledger (transaction_key) WHERE is_stop_held;
