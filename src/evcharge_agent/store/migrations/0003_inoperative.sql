-- Connectors the central system has ordered out of service (ChangeAvailability); 0 stands for all.

CREATE TABLE inoperative (
    connector INTEGER PRIMARY KEY
) STRICT, WITHOUT ROWID;
