-- Small sets of facts that are read whole at start: local list, reservations, charging profiles, … One row each;
-- what a value looks like is its owner's.

CREATE TABLE shelf (
    shelf TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (shelf, name)
) STRICT, WITHOUT ROWID;
