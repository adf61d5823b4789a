"""Whose token it is: ``/platform/v1/tokenContext``.

Shape and status from the reference (developer.salesforce.com, "Retrieve tokenContext"): the
account that the token is bound to is the organization, the enterprise is its parent at the top.
"""

from bounce_sync.sandbox.marketing_cloud.calls import Call
from bounce_sync.sandbox.marketing_cloud.rest.requests import Asked, Said

USER = 1093240
"""The installed package's own user."""


def token_context(call: Call, _: Asked) -> Said:
    return Said(
        {
            "enterprise": {"id": call.store.account_id},
            "organization": {"id": call.mid},
            "user": {"id": USER},
        },
        202,
    )
