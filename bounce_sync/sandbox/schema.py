"""The tables that a sandbox tenant lives in.

Times of SFMC are server time, ``YYYY-MM-DD HH:MM:SS.mmm``; times of the CRM are UTC,
``YYYY-MM-DDTHH:MM:SS.000Z``. Both sort as text. Booleans are 0 and 1. A missing value is NULL,
never an empty text.

The CRM's objects are one table each, with columns spelled as the API spells them; they are made by
:meth:`bounce_sync.sandbox.store.Store.add_field` from :data:`STANDARD_FIELDS`. The rows of a data
extension live in a table of their own, whose name stands in ``data_extension.row_table``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

TABLES = """
CREATE TABLE IF NOT EXISTS tenant (
    name TEXT PRIMARY KEY,
    value TEXT
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS business_unit (
    mid INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    parent INTEGER
);

CREATE TABLE IF NOT EXISTS job (
    job_id INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    email_name TEXT,
    subject TEXT,
    sent_at TEXT
);

CREATE TABLE IF NOT EXISTS subscriber (
    subscriber_id INTEGER PRIMARY KEY,
    subscriber_key TEXT NOT NULL UNIQUE,
    email_address TEXT,
    status TEXT NOT NULL DEFAULT 'Active'
        CHECK (status IN ('Active', 'Bounced', 'Held', 'Unsubscribed', 'Deleted')),
    date_undeliverable TEXT,
    date_joined TEXT,
    date_unsubscribed TEXT,
    bounce_count INTEGER NOT NULL DEFAULT 0,
    subscriber_type TEXT,
    domain TEXT,
    created_date TEXT
);
CREATE INDEX IF NOT EXISTS subscriber_by_status ON subscriber (status, created_date);
CREATE INDEX IF NOT EXISTS subscriber_by_address ON subscriber (email_address);

CREATE TABLE IF NOT EXISTS bounce (
    id INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    oyb_account_id INTEGER,
    job_id INTEGER,
    list_id INTEGER,
    batch_id INTEGER,
    subscriber_id INTEGER,
    subscriber_key TEXT NOT NULL,
    event_date TEXT NOT NULL,
    is_unique INTEGER,
    domain TEXT,
    email_address TEXT, -- never served: the extract files alone carry it
    bounce_category_id INTEGER,
    bounce_category TEXT,
    bounce_subcategory_id INTEGER,
    bounce_subcategory TEXT,
    bounce_type_id INTEGER,
    bounce_type TEXT,
    smtp_bounce_reason TEXT,
    smtp_message TEXT,
    smtp_code INTEGER,
    triggerer_send_definition_object_id TEXT,
    triggered_send_customer_key TEXT,
    is_false_bounce INTEGER
);
CREATE INDEX IF NOT EXISTS bounce_by_time ON bounce (event_date, account_id);
CREATE INDEX IF NOT EXISTS bounce_by_key ON bounce (subscriber_key, event_date);

CREATE TABLE IF NOT EXISTS sent (
    id INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    oyb_account_id INTEGER,
    job_id INTEGER,
    list_id INTEGER,
    batch_id INTEGER,
    subscriber_id INTEGER,
    subscriber_key TEXT NOT NULL,
    event_date TEXT NOT NULL,
    domain TEXT,
    triggerer_send_definition_object_id TEXT,
    triggered_send_customer_key TEXT
);
CREATE INDEX IF NOT EXISTS sent_by_time ON sent (event_date);

CREATE TABLE IF NOT EXISTS opened (
    id INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    oyb_account_id INTEGER,
    job_id INTEGER,
    list_id INTEGER,
    batch_id INTEGER,
    subscriber_id INTEGER,
    subscriber_key TEXT NOT NULL,
    event_date TEXT NOT NULL,
    domain TEXT,
    is_unique INTEGER,
    triggerer_send_definition_object_id TEXT,
    triggered_send_customer_key TEXT
);
CREATE INDEX IF NOT EXISTS opened_by_time ON opened (event_date);

CREATE TABLE IF NOT EXISTS clicked (
    id INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    oyb_account_id INTEGER,
    job_id INTEGER,
    list_id INTEGER,
    batch_id INTEGER,
    subscriber_id INTEGER,
    subscriber_key TEXT NOT NULL,
    event_date TEXT NOT NULL,
    domain TEXT,
    url TEXT,
    link_name TEXT,
    link_content TEXT,
    is_unique INTEGER,
    triggerer_send_definition_object_id TEXT,
    triggered_send_customer_key TEXT
);
CREATE INDEX IF NOT EXISTS clicked_by_time ON clicked (event_date);

CREATE TABLE IF NOT EXISTS status_event (
    id INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    subscriber_id INTEGER,
    subscriber_key TEXT NOT NULL,
    created_date TEXT NOT NULL,
    previous_status TEXT,
    current_status TEXT NOT NULL,
    reason_unsub TEXT
);
CREATE INDEX IF NOT EXISTS status_event_by_time ON status_event (created_date);
CREATE INDEX IF NOT EXISTS status_event_by_key ON status_event (subscriber_key);

CREATE TABLE IF NOT EXISTS data_extension (
    object_id TEXT PRIMARY KEY,
    customer_key TEXT NOT NULL COLLATE NOCASE,
    name TEXT NOT NULL COLLATE NOCASE,
    mid INTEGER NOT NULL,
    row_table TEXT NOT NULL UNIQUE,
    description TEXT,
    is_sendable INTEGER NOT NULL DEFAULT 0,
    sendable_field TEXT,
    sendable_subscriber_field TEXT,
    category_id INTEGER NOT NULL DEFAULT 0,
    created_date TEXT NOT NULL,
    modified_date TEXT NOT NULL,
    UNIQUE (mid, customer_key)
);

CREATE TABLE IF NOT EXISTS data_extension_field (
    object_id TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    field_id TEXT NOT NULL,
    name TEXT NOT NULL COLLATE NOCASE,
    field_type TEXT NOT NULL,
    max_length INTEGER,
    scale INTEGER,
    is_primary_key INTEGER NOT NULL DEFAULT 0,
    is_required INTEGER NOT NULL DEFAULT 0,
    default_value TEXT,
    PRIMARY KEY (object_id, name)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS query_definition (
    object_id TEXT PRIMARY KEY,
    customer_key TEXT NOT NULL COLLATE NOCASE,
    name TEXT NOT NULL COLLATE NOCASE,
    mid INTEGER NOT NULL,
    description TEXT,
    query_text TEXT NOT NULL,
    target_customer_key TEXT,
    target_update_type TEXT NOT NULL DEFAULT 'Overwrite',
    category_id INTEGER NOT NULL DEFAULT 0,
    created_date TEXT NOT NULL,
    modified_date TEXT NOT NULL,
    UNIQUE (mid, customer_key)
);

CREATE TABLE IF NOT EXISTS automation (
    object_id TEXT PRIMARY KEY,
    customer_key TEXT NOT NULL COLLATE NOCASE,
    name TEXT NOT NULL COLLATE NOCASE,
    mid INTEGER NOT NULL,
    status_id INTEGER NOT NULL DEFAULT 2,
    steps TEXT NOT NULL DEFAULT '[]', -- JSON
    last_run_time TEXT,
    last_run_instance_id TEXT,
    created_date TEXT NOT NULL,
    modified_date TEXT NOT NULL,
    UNIQUE (mid, customer_key)
);

CREATE TABLE IF NOT EXISTS journey (
    id TEXT PRIMARY KEY,
    journey_key TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    mid INTEGER NOT NULL,
    version INTEGER NOT NULL DEFAULT 1,
    status TEXT NOT NULL DEFAULT 'Published',
    event_definition_key TEXT,
    definition TEXT NOT NULL DEFAULT '{}' -- JSON
);

CREATE TABLE IF NOT EXISTS async_request (
    request_id TEXT PRIMARY KEY,
    mid INTEGER NOT NULL,
    kind TEXT NOT NULL,
    status TEXT NOT NULL,
    detail TEXT NOT NULL DEFAULT '{}', -- JSON
    created_at TEXT NOT NULL,
    finished_at TEXT
);

CREATE TABLE IF NOT EXISTS field (
    object TEXT NOT NULL COLLATE NOCASE,
    ordinal INTEGER NOT NULL,
    name TEXT NOT NULL COLLATE NOCASE,
    label TEXT NOT NULL,
    type TEXT NOT NULL,
    length INTEGER NOT NULL DEFAULT 0,
    precision INTEGER NOT NULL DEFAULT 0,
    scale INTEGER NOT NULL DEFAULT 0,
    nillable INTEGER NOT NULL DEFAULT 1,
    createable INTEGER NOT NULL DEFAULT 1,
    updateable INTEGER NOT NULL DEFAULT 1,
    custom INTEGER NOT NULL DEFAULT 0,
    visible INTEGER NOT NULL DEFAULT 1, -- 0: hidden by field-level security
    external_id INTEGER NOT NULL DEFAULT 0,
    reference_to TEXT,
    PRIMARY KEY (object, name)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS crm_write (
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    object TEXT NOT NULL,
    record_id TEXT NOT NULL,
    field TEXT NOT NULL,
    before TEXT,
    after TEXT,
    header_auto_assign TEXT, -- Sforce-Auto-Assign as sent, NULL when absent
    api TEXT NOT NULL -- 'collections', 'single', 'bulk', 'rule', 'journey', 'rep'
);
CREATE INDEX IF NOT EXISTS crm_write_by_record ON crm_write (record_id);
"""

_SYSTEM = """
    Id id; IsDeleted boolean ro; CreatedDate datetime ro; CreatedById reference:User ro;
    LastModifiedDate datetime ro; LastModifiedById reference:User ro; SystemModstamp datetime ro;
"""

_PERSON = """
    LastName string(80); FirstName string(40); Salutation picklist(40); MiddleName string(40);
    Suffix string(40); Name string(121) ro; Title string(128); Phone phone(40);
    MobilePhone phone(40); Fax phone(40); Email email(80); Description textarea(32000);
    LeadSource picklist(255); OwnerId reference:User; HasOptedOutOfEmail boolean;
    HasOptedOutOfFax boolean; DoNotCall boolean; EmailBouncedReason string(255);
    EmailBouncedDate datetime; LastActivityDate date ro; ActivityMetricId reference ro;
    LastViewedDate datetime ro; LastReferencedDate datetime ro; MasterRecordId reference ro;
    Jigsaw string(20); JigsawContactId string(20) ro; IndividualId reference:Individual;
    PhotoUrl url(255) ro; RecordTypeId reference:RecordType; CleanStatus picklist(40);
    Pronouns picklist(255); GenderIdentity picklist(255);
"""


def _address(prefix: str) -> str:
    return (
        f"{prefix}Street textarea(255); {prefix}City string(40); {prefix}State string(80); "
        f"{prefix}PostalCode string(20); {prefix}Country string(80); "
        f"{prefix}StateCode picklist(10); {prefix}CountryCode picklist(10); "
        f"{prefix}Latitude double; {prefix}Longitude double; "
        f"{prefix}GeocodeAccuracy picklist(40);"
    )


STANDARD_FIELDS: dict[str, str] = {
    "Contact": _SYSTEM
    + _PERSON
    + """
    AccountId reference:Account; HomePhone phone(40); OtherPhone phone(40);
    AssistantPhone phone(40); AssistantName string(40); ReportsToId reference:Contact;
    Department string(80); Birthdate date; LastCURequestDate datetime ro;
    LastCUUpdateDate datetime ro; IsPersonAccount boolean ro; ContactSource picklist(40) ro;
    IsPriorityRecord boolean ro; DepartmentGroup picklist(40); TitleType picklist(40);
    IsEmailBounced boolean ro; CanAllowPortalSelfReg boolean;
    """
    + _address("Mailing")
    + _address("Other"),
    "Lead": _SYSTEM
    + _PERSON
    + """
    Company string(255); Status picklist(255); IsConverted boolean ro; ConvertedDate date ro;
    ConvertedAccountId reference:Account ro; ConvertedContactId reference:Contact ro;
    ConvertedOpportunityId reference:Opportunity ro; IsUnreadByOwner boolean; Website url(255);
    Industry picklist(255); Rating picklist(255); AnnualRevenue currency; NumberOfEmployees int;
    LastTransferDate date ro; FirstCallDateTime datetime; FirstEmailDateTime datetime;
    IsPriorityRecord boolean ro; CompanyDunsNumber string(9); DandbCompanyId reference:DandBCompany;
    Street textarea(255); City string(40); State string(80); PostalCode string(20);
    Country string(80); StateCode picklist(10); CountryCode picklist(10); Latitude double;
    Longitude double; GeocodeAccuracy picklist(40);
    """,
    "Account": _SYSTEM
    + """
    Name string(255); MasterRecordId reference:Account ro; Type picklist(255);
    ParentId reference:Account; OwnerId reference:User; Phone phone(40); Fax phone(40);
    Website url(255); Industry picklist(255); AnnualRevenue currency; NumberOfEmployees int;
    Description textarea(32000); AccountNumber string(40); Rating picklist(255); Site string(80);
    AccountSource picklist(255); IsPersonAccount boolean ro; PersonContactId reference:Contact ro;
    PersonEmail email(80); PersonHasOptedOutOfEmail boolean; FirstName string(40);
    LastName string(80); RecordTypeId reference:RecordType;
    """
    + _address("Billing")
    + _address("Shipping"),
    "User": """
    Id id; Username string(80); LastName string(80); FirstName string(40); Name string(121) ro;
    Email email(128); Alias string(8); IsActive boolean; TimeZoneSidKey picklist(40);
    LocaleSidKey picklist(40); LanguageLocaleKey picklist(40); EmailEncodingKey picklist(40);
    ProfileId reference:Profile; UserType picklist(40) ro; ManagerId reference:User;
    CreatedDate datetime ro; LastModifiedDate datetime ro; SystemModstamp datetime ro;
    """,
    "Organization": """
    Id id; Name string(80); IsSandbox boolean ro; OrganizationType picklist(40) ro;
    InstanceName string(5) ro; TimeZoneSidKey picklist(40); LanguageLocaleKey picklist(40);
    DefaultLocaleSidKey picklist(40); NamespacePrefix string(15) ro;
    TrialExpirationDate datetime ro;
    CreatedDate datetime ro; LastModifiedDate datetime ro; SystemModstamp datetime ro;
    """,
}
"""By object: ``name type(length):target ro``; ``ro`` is neither createable nor updateable."""

_OPTIONAL = """
    CurrencyIsoCode picklist(3); ConnectionReceivedId reference ro; ConnectionSentId reference ro;
    IsLocked boolean ro; MayEdit boolean ro; ScheduledResumeDateTime datetime ro;
    ActionCadenceId reference ro; ActionCadenceState picklist(255) ro;
    ActionCadenceAssigneeId reference:User ro; ActiveTrackerCount int ro;
"""

OPTIONAL_FIELDS = {
    "Contact": _OPTIONAL
    + "BuyerAttributes multipicklist(4099);"
    + "FirstCallDateTime datetime; FirstEmailDateTime datetime;",
    "Lead": _OPTIONAL + "PartnerAccountId reference:Account; IsEmailBounced boolean ro;",
}
"""Standard fields that an org has with some feature only: made where somebody's data has them."""

KEY_PREFIXES = {
    "Contact": "003",
    "Lead": "00Q",
    "Account": "001",
    "User": "005",
    "Organization": "00D",
}

CRM_INDEXES = """
CREATE INDEX IF NOT EXISTS contact_by_email ON "Contact" ("Email");
CREATE INDEX IF NOT EXISTS contact_by_account ON "Contact" ("AccountId");
CREATE INDEX IF NOT EXISTS contact_merged ON "Contact" ("MasterRecordId")
    WHERE "MasterRecordId" IS NOT NULL;
CREATE INDEX IF NOT EXISTS contact_flagged ON "Contact" ("Hard_Bounce__c")
    WHERE "Hard_Bounce__c" = 1;
CREATE INDEX IF NOT EXISTS lead_by_email ON "Lead" ("Email");
CREATE INDEX IF NOT EXISTS lead_merged ON "Lead" ("MasterRecordId")
    WHERE "MasterRecordId" IS NOT NULL;
CREATE INDEX IF NOT EXISTS lead_converted ON "Lead" ("ConvertedContactId")
    WHERE "ConvertedContactId" IS NOT NULL;
CREATE INDEX IF NOT EXISTS lead_flagged ON "Lead" ("Hard_Bounce__c")
    WHERE "Hard_Bounce__c" = 1;
"""


def statements(text: str) -> Iterator[str]:
    """The statements of an SQL text, one by one (``executescript`` would commit)."""
    statement = ""
    for line in text.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
