"""The sandbox's Marketing Cloud: token endpoint, SOAP, REST, query activities and Journeys.

An independent reading of the same API documents that the clients were written from; it imports
nothing of theirs. `app.application` is the whole service as one ASGI application over one store.

Settings of the tenant that change how the service behaves (``store.set_setting``):

=============================  ===========  ========================================================
setting                        default      meaning
=============================  ===========  ========================================================
``scopes``                     (all)        of the installed package, space separated
``token_seconds``              1200         life of an access token
``absent_objects``             (none)       objects that SOAP has no handler for, such as
                                            ``SubscriberStatusEvent``
``subscriber_status_filter``   answers      ``silent``: a filter on Subscriber.Status finds nothing
``describe``                   full         ``silent``: Describe answers without definitions
``query_failure``              rolled_back  what a failed query leaves in its target: also
                                            ``stale`` (the same), ``emptied``, ``partial``
``query_false_early_seconds``  0            so long after a start isRunning is false and nothing
                                            runs
``query_seconds``              0            how long a query runs at least
``query_limit_seconds``        1800         after which it is killed
``rowset_lag_seconds``         0            so long after a query its target can't be read
``automation_start``           refused      ``accepted``: ``actions/start`` runs an automation, as
                                            ``runallonce`` does
``inactive_contacts``          (none)       contact keys that may not enter a Journey by event
``flag_field, date_field``     Hard_…__c    fields of the CRM that the Journeys write
``delivery``                   (there)      ``absent``: no automations and Journeys of the delivery
                                            are made when the tenant is served
``today``                      (clock)      the tenant's present in server time: GETDATE()
=============================  ===========  ========================================================
"""

from bounce_sync.sandbox.marketing_cloud.schema import SCHEMA

__all__ = ["SCHEMA"]
