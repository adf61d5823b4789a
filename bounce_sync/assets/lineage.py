"""Where the values of each column come from, for the UI's pages and the guide's tables."""

from collections.abc import Sequence

from bounce_sync.tables import TABLES

_CRM = ("salesforce/Contact", "salesforce/Lead")


def _in_crm(*fields: str) -> list[tuple[str, str]]:
    return [(table, field) for field in fields for table in _CRM]


LINEAGE: dict[str, dict[str, Sequence[tuple[str, str]]]] = {
    "raw_bounces": {
        name: [("sfmc/_Bounce", source)]
        for name, source in {
            "business_unit": "AccountID",
            "subscriber_key": "SubscriberKey",
            "event_at": "EventDate",
            "bounce_category": "BounceCategory",
            "bounce_subcategory": "BounceSubcategory",
            "smtp_code": "SMTPCode",
            "smtp_reason": "SMTPBounceReason",
            "domain": "Domain",
            "job_id": "JobID",
        }.items()
    },
    "held_subscribers": {
        name: [("sfmc/_Subscribers", source)]
        for name, source in {
            "subscriber_key": "SubscriberKey",
            "email_address": "EmailAddress",
            "held_at": "DateUndeliverable",
        }.items()
    },
    "confirmed_bounce_staging": {
        "subscriber_key": [
            ("raw_bounces", "subscriber_key"),
            ("held_subscribers", "subscriber_key"),
        ],
        "email_address": [("raw_bounces", "email_address"), ("held_subscribers", "email_address")],
        "domain": [("raw_bounces", "domain"), ("held_subscribers", "email_address")],
        "bounce_category": [("raw_bounces", "bounce_category")],
        "smtp_code": [("raw_bounces", "smtp_code")],
        "bounce_reason": [("raw_bounces", "smtp_reason")],
        "bounced_at": [("raw_bounces", "event_at")],
        "evidence_count": [("raw_bounces", "event_at")],
        "business_unit": [("raw_bounces", "business_unit")],
    },
    "crm_flag_state": {
        "record_id": _in_crm("Id"),
        "subscriber_key": [("confirmed_bounce_staging", "subscriber_key"), *_in_crm("Id")],
        "resolution": [("salesforce/Lead", "ConvertedContactId"), *_in_crm("MasterRecordId")],
        "email": _in_crm("Email"),
        "flag": _in_crm("Hard_Bounce__c"),
        "flag_date": _in_crm("Hard_Bounce_Date__c"),
        "account_id": [("salesforce/Contact", "AccountId")],
        "is_converted": [("salesforce/Lead", "IsConverted")],
        "person_account_id": [("salesforce/Contact", "AccountId")],
    },
    "released_subscribers": {
        "subscriber_key": [("crm_flag_state", "subscriber_key")],
        "status": [("sfmc/_Subscribers", "Status")],
    },
    "crm_flag_changes": {
        "subscriber_key": [
            ("confirmed_bounce_staging", "subscriber_key"),
            ("crm_flag_state", "subscriber_key"),
        ],
        **{
            name: [("crm_flag_state", name)]
            for name in ("object", "record_id", "resolution", "account_id", "person_account_id")
        },
        "flag_before": [("crm_flag_state", "flag")],
        "flag_after": [
            ("held_subscribers", "subscriber_key"),
            ("released_subscribers", "status"),
            ("crm_flag_state", "flag"),
        ],
        "date_before": [("crm_flag_state", "flag_date")],
        "date_after": [
            ("confirmed_bounce_staging", "bounced_at"),
            ("crm_flag_state", "flag_date"),
        ],
        "status": [("held_subscribers", "subscriber_key"), ("released_subscribers", "status")],
        "bounced_at": [("confirmed_bounce_staging", "bounced_at")],
        "domain": [("confirmed_bounce_staging", "domain")],
        "address_agrees": [
            ("crm_flag_state", "email"),
            ("confirmed_bounce_staging", "email_address"),
            ("held_subscribers", "email_address"),
        ],
        "email_hash": [("crm_flag_state", "email")],
        "staged": [("confirmed_bounce_staging", "subscriber_key")],
    },
    "crm_drift": {
        "subscriber_key": [("sfmc/_Subscribers", "SubscriberKey"), *_in_crm("Id")],
        "record_id": _in_crm("Id"),
        "resolution": [("salesforce/Lead", "ConvertedContactId"), *_in_crm("MasterRecordId")],
        "account_id": [("salesforce/Contact", "AccountId")],
        "person_account_id": [("salesforce/Contact", "AccountId")],
        "flag_before": _in_crm("Hard_Bounce__c"),
        "flag_after": [("sfmc/_Subscribers", "Status"), *_in_crm("Hard_Bounce__c")],
        "date_before": _in_crm("Hard_Bounce_Date__c"),
        "date_after": [
            ("raw_bounces", "event_at"),
            ("sfmc/_Bounce", "EventDate"),
            ("sfmc/_Subscribers", "DateUndeliverable"),
            *_in_crm("Hard_Bounce_Date__c"),
        ],
        "status": [("sfmc/_Subscribers", "Status")],
        "bounced_at": [("raw_bounces", "event_at"), ("sfmc/_Bounce", "EventDate")],
        "domain": [
            ("raw_bounces", "domain"),
            ("sfmc/_Bounce", "Domain"),
            ("sfmc/_Subscribers", "EmailAddress"),
        ],
        "address_agrees": [("sfmc/_Subscribers", "EmailAddress"), *_in_crm("Email")],
        "email_hash": _in_crm("Email"),
        "staged": [("sfmc/_Subscribers", "Status")],
        "held_at": [("sfmc/_Subscribers", "DateUndeliverable")],
    },
    **{
        updates: {
            name: [(plan, name)]
            for name in TABLES[updates].to_schema().columns
            if name in TABLES[plan].to_schema().columns
        }
        for updates, plan in (
            ("crm_flag_updates", "crm_flag_changes"),
            ("crm_drift_updates", "crm_drift"),
        )
    },
}
"""Table → column → where its values come from."""
