"""Tables that the CRM keeps beside its objects; the store makes them."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS crm_refusal (
    record_id TEXT PRIMARY KEY,
    code TEXT NOT NULL,
    message TEXT NOT NULL,
    fields TEXT, -- names, separated by spaces
    alert INTEGER NOT NULL DEFAULT 0 -- a duplicate rule that lets allowSave=true pass
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS bulk_job (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL, -- ingest or query
    operation TEXT NOT NULL,
    object TEXT NOT NULL,
    state TEXT NOT NULL,
    created_by TEXT NOT NULL,
    created_at TEXT NOT NULL,
    modified_at TEXT NOT NULL,
    api_version TEXT NOT NULL,
    settings TEXT NOT NULL, -- JSON: delimiter, line ending, header, the statement, a fault
    content BLOB, -- the upload; of a query, the ids it found
    total INTEGER NOT NULL DEFAULT 0,
    error_message TEXT,
    elapsed_ms INTEGER NOT NULL DEFAULT 0,
    claimed_by TEXT -- process that runs it, and a unique text
);

CREATE TABLE IF NOT EXISTS bulk_chunk (
    job_id TEXT NOT NULL,
    number INTEGER NOT NULL, -- of its first row
    batch INTEGER NOT NULL,
    records INTEGER NOT NULL,
    done INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    rows TEXT, -- JSON, until it is done
    successful_csv TEXT,
    failed_csv TEXT,
    PRIMARY KEY (job_id, number)
);

CREATE TABLE IF NOT EXISTS metadata_component (
    type TEXT NOT NULL,
    full_name TEXT NOT NULL,
    body TEXT NOT NULL, -- XML
    modified_at TEXT NOT NULL,
    PRIMARY KEY (type, full_name)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS metadata_deploy (
    id TEXT PRIMARY KEY,
    created_at TEXT NOT NULL,
    result TEXT NOT NULL -- JSON
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS custom_field (
    id TEXT PRIMARY KEY,
    object TEXT NOT NULL COLLATE NOCASE,
    name TEXT NOT NULL COLLATE NOCASE,
    created_at TEXT NOT NULL,
    UNIQUE (object, name)
) WITHOUT ROWID;

CREATE VIEW IF NOT EXISTS "CustomField" AS
SELECT id AS "Id", substr(name, 1, length(name) - 3) AS "DeveloperName",
    object AS "TableEnumOrId", NULL AS "NamespacePrefix", 'unmanaged' AS "ManageableState",
    created_at AS "CreatedDate"
FROM custom_field;

CREATE VIEW IF NOT EXISTS "EntityDefinition" AS
SELECT DISTINCT '000000000000000AAA' AS "Id", object AS "DurableId",
    object AS "QualifiedApiName", object AS "DeveloperName", object AS "Label"
FROM field;

CREATE VIEW IF NOT EXISTS "FieldDefinition" AS
SELECT '000000000000000AAA' AS "Id", object || '.' || name AS "DurableId",
    name AS "QualifiedApiName", replace(name, '__c', '') AS "DeveloperName", label AS "Label",
    object AS "EntityDefinitionId",
    CASE type WHEN 'boolean' THEN 'Checkbox' WHEN 'datetime' THEN 'Date/Time'
        WHEN 'date' THEN 'Date' WHEN 'string' THEN 'Text(' || length || ')'
        WHEN 'email' THEN 'Email' ELSE type END AS "DataType"
FROM field;
"""
