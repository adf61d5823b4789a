"""Automations that start a Journey: made with their query activity, and looked at.

A Journey can't be put into an automation from here: a person chooses the automation in the entry
source of the Journey, which gives the automation one more step (facts/marketing-cloud.md §5.5,
§5.6). The body of the request is the one that sfmc-devtools records of its own deployments.
"""

from __future__ import annotations

from typing import Any

from bounce_sync.marketing_cloud.connection import Connection
from bounce_sync.marketing_cloud.errors import Place, UnreadableAnswer

QUERY, JOURNEY = 300, 952
"""``objectTypeId`` of a step's activity."""


class Automations:
    """The automations of one business unit."""

    def __init__(self, connection: Connection, unit: str) -> None:
        self._connection, self._unit = connection, unit

    def activities(self, key: str) -> list[int] | None:
        """The kinds of activity of the automation with this external key; None if there is none."""
        place = Place(f"GET automation {key}", self._unit)
        told = self._connection.rest(
            "GET", f"automation/v1/automations/key:{key}", place, absent=True
        )
        if told is None:
            return None
        try:
            return [
                int(activity["objectTypeId"])
                for step in told["steps"]
                for activity in step.get("activities", [])
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise UnreadableAnswer(place, f"Its steps aren't as documented ({error})") from None

    def create(self, key: str, description: str, query_id: str, query_key: str) -> None:
        """Make an automation without a schedule that runs one query activity."""
        activity = {
            "name": query_key,
            "activityObjectId": query_id,
            "objectTypeId": QUERY,
            "displayOrder": 1,
        }
        payload: dict[str, Any] = {
            "name": key,
            "key": key,
            "description": description,
            "steps": [{"annotation": "", "stepNumber": 0, "activities": [activity]}],
        }
        place = Place(f"POST automation {key}", self._unit)
        self._connection.rest(
            "POST", "automation/v1/automations", place, payload=payload, repeatable=False
        )
