"""The sandbox's Marketing Cloud: token endpoint, SOAP, REST, query activities and Journeys.

An independent reading of the same API documents that the clients were written from; it imports
nothing of theirs. `app.application` is the whole service as one ASGI application over one store.
"""

from bounce_sync.sandbox.marketing_cloud.schema import SCHEMA

__all__ = ["SCHEMA"]
