"""Where people look at records in the CRM: addresses of Lightning pages.

The instance's address leads there too: Salesforce redirects to the one of Lightning.
"""

from __future__ import annotations

LIST_VIEWS = {"Contact": "Hard_Bounced_Contacts", "Lead": "Hard_Bounced_Leads"}
"""The list views of flagged records, as `bounce-sync setup` makes them."""


def record(instance_url: str, name: str, identity: str) -> str:
    """The page of a record, or of a User."""
    return f"{instance_url}/lightning/r/{name}/{identity}/view"


def flagged(instance_url: str, name: str) -> str:
    """The list of an object's flagged records."""
    return f"{instance_url}/lightning/o/{name}/list?filterName={LIST_VIEWS[name]}"
