"""The sandbox's CRM: Salesforce's REST, Bulk 2.0 and the SOAP calls that set-up needs.

Written from the service's documentation and from what public clients send and expect
(facts/salesforce.md §11, facts/wire.md 27-41); it shares no code with the clients of this package.

Settings of the tenant that change how the org behaves (``store.set_setting``):

========================  ==========  =======================================================
setting                   default     meaning
========================  ==========  =======================================================
``api_limit``             100000      API calls a day; beyond it REQUEST_LIMIT_EXCEEDED
``api_used``              0           calls that were used before the server started
``session_seconds``       7200        life of an access token
``soap_login``            true        SOAP login (never above v64)
``missing_permissions``   (none)      of the user: ``ApiEnabled``, ``ViewSetup``,
                                      ``ReadLead``, ``EditContact``, ``ModifyMetadata``,
                                      ``CustomizeApplication``, ``AssignPermissionSets``,
                                      ``ManageProfilesPermissionsets``
``person_accounts``       false       Person Accounts
``jwt_public_key``        (none)      checks the signature of JWT bearers
``edit_converted_leads``  false       "View and Edit Converted Leads"
``lock_accounts``         false       concurrent writes on one Account collide
``lock_wait_ms``          0           how long a write waits for a lock
``write_ms``              0           how long a write holds its locks at least
``query_page``            2000        records on a SOQL page
``bulk_batch_records``    10000       records of an internal Bulk batch
``bulk_batch_ms``         0           how long such a batch takes at least
``bulk_query_page``       250000      records on a page of Bulk query results
========================  ==========  =======================================================

Rows of ``crm_refusal(record_id, code, message, fields, alert)`` make every write of a record fail
with that error, as a trigger, an approval or a sharing rule would; with ``alert`` a write under
``Sforce-Duplicate-Rule-Header: allowSave=true`` passes, as it passes a duplicate rule that alerts.
Rows of the object ``ValidationRule`` are validation rules, of ``AssignmentRule`` lead assignment
rules.
"""

from bounce_sync.sandbox.salesforce.schema import SCHEMA

__all__ = ["SCHEMA"]
