-- +goose Up
CREATE TABLE records (
    kind    TEXT    NOT NULL,
    id      TEXT    NOT NULL,
    parent  TEXT    NOT NULL,
    version INTEGER NOT NULL,
    created TEXT    NOT NULL, -- RFC 3339 with nanoseconds, UTC
    updated TEXT    NOT NULL,
    labels  TEXT    NOT NULL, -- JSON object; what Get and List return. The table labels is its index.
    body    BLOB    NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE INDEX records_by_parent ON records (kind, parent, id);

CREATE TABLE labels (
    kind  TEXT NOT NULL,
    id    TEXT NOT NULL,
    key   TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (kind, id, key)
) WITHOUT ROWID;
CREATE INDEX labels_by_value ON labels (kind, key, value, id);

-- +goose Down
DROP TABLE labels;
DROP TABLE records;
