"""Tables of the service itself, beside those of the tenant: what it must remember between calls.

All of it lives in the store and not in the process, so that several processes can serve one
tenant and a client may go on with the next page at another of them.
"""

SCHEMA = """
CREATE TABLE IF NOT EXISTS access_token (
    token TEXT PRIMARY KEY,
    mid INTEGER NOT NULL,
    scope TEXT NOT NULL,
    expires_at REAL NOT NULL -- seconds since 1970, real time
) WITHOUT ROWID;

-- Where a Retrieve goes on: the request as it was first sent and the last row that was given.
CREATE TABLE IF NOT EXISTS soap_continuation (
    request_id TEXT PRIMARY KEY,
    mid INTEGER NOT NULL,
    request TEXT NOT NULL, -- XML
    after TEXT NOT NULL -- JSON
) WITHOUT ROWID;

-- Up to where RetrieveAllSinceLastBatch has read, by account and object.
CREATE TABLE IF NOT EXISTS soap_high_water (
    mid INTEGER NOT NULL,
    object TEXT NOT NULL,
    reached TEXT NOT NULL, -- server time
    PRIMARY KEY (mid, object)
) WITHOUT ROWID;

-- A rowset's requestToken stands for the query it was given for.
CREATE TABLE IF NOT EXISTS rowset_token (
    token TEXT PRIMARY KEY,
    mid INTEGER NOT NULL,
    customer_key TEXT NOT NULL,
    parameters TEXT NOT NULL -- JSON
) WITHOUT ROWID;

-- Counts the writes to a data extension, so that what was worked out about its rows can be kept.
CREATE TABLE IF NOT EXISTS data_extension_version (
    object_id TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    readable_at REAL NOT NULL DEFAULT 0 -- seconds since 1970: the rowset lags behind a query
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS query_run (
    id INTEGER PRIMARY KEY,
    query_object_id TEXT NOT NULL,
    task_id TEXT NOT NULL,
    process INTEGER NOT NULL, -- of the server that runs it: a run doesn't outlive it
    started_at REAL NOT NULL, -- seconds since 1970
    finished_at REAL,
    error TEXT
);
CREATE INDEX IF NOT EXISTS query_run_by_query ON query_run (query_object_id, id);

CREATE TABLE IF NOT EXISTS automation_run (
    instance_id TEXT PRIMARY KEY,
    automation_object_id TEXT NOT NULL,
    process INTEGER NOT NULL
) WITHOUT ROWID;

-- Keys are compared without case by the service, and so they are found.
CREATE INDEX IF NOT EXISTS subscriber_by_folded_key ON subscriber (subscriber_key COLLATE NOCASE);
CREATE INDEX IF NOT EXISTS status_event_by_folded_key
    ON status_event (subscriber_key COLLATE NOCASE);
CREATE INDEX IF NOT EXISTS bounce_by_folded_key ON bounce (subscriber_key COLLATE NOCASE);
-- Pages of one status in the order of the subscribers, and of a range of creation.
CREATE INDEX IF NOT EXISTS subscriber_by_status_alone ON subscriber (status);
CREATE INDEX IF NOT EXISTS subscriber_by_creation ON subscriber (created_date);
"""
