"""Where SFMC and the CRM of an installation are, as the clients want to know it.

With target sandbox and no address given, the sandbox of this installation is served by this process
when it is first needed, for as long as the context lasts. This module knows no Dagster.
"""

from __future__ import annotations

import contextlib

from bounce_sync.marketing_cloud.connection import Account
from bounce_sync.rules import server_time
from bounce_sync.rules.crm_facts import CrmFacts
from bounce_sync.salesforce.connection import Org
from bounce_sync.salesforce.reading import RecordReader
from bounce_sync.sandbox import embedded
from bounce_sync.settings import MarketingCloudSettings, SalesforceSettings, Settings


class Services:
    """The two services of one installation. To be used as a context manager."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._stack = contextlib.ExitStack()
        self._address: embedded.Address | None = None

    def __enter__(self) -> Services:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def account(self) -> Account:
        """Where SFMC is; serves the sandbox first if it has to."""
        settings = self.settings
        where = settings.marketing_cloud
        if where is None:
            address = self._sandbox()
            where = MarketingCloudSettings(
                auth_url=address.auth_url,
                client_id=address.client_id,
                client_secret=address.client_secret,
                account_id=address.account_id,
            )
        return Account(
            auth_url=where.auth_url,
            client_id=where.client_id,
            client_secret=where.client_secret,
            account_id=where.account_id,
            business_units=self._business_units(where.account_id),
            ca_bundle=self._ca_bundle(),
            utc_offset=server_time.parse_offset(settings.utc_offset),
        )

    def org(self) -> Org:
        """Where the CRM is; serves the sandbox first if it has to."""
        settings = self.settings
        where = settings.salesforce
        if where is None:
            address = self._sandbox()
            where = SalesforceSettings(
                login_url=address.salesforce_url,
                client_id=address.client_id,
                client_secret=address.client_secret,
            )
        return Org(
            login_url=where.login_url,
            client_id=where.client_id,
            client_secret=where.client_secret,
            username=where.username,
            jwt_key=where.jwt_key,
            ca_bundle=self._ca_bundle(),
            api_version=settings.api_version,
            api_share=settings.api_share,
            bulk_from=settings.bulk_from,
            flag_field=settings.flag_field,
            date_field=settings.date_field,
            person_accounts=settings.person_accounts,
        )

    def facts(self, reader: RecordReader) -> CrmFacts:
        """What a decision must know of the org. Raises the errors of `RecordReader.facts`."""
        found = reader.facts()
        return CrmFacts(
            date_is_day=found.date_is_day,
            time_zone=found.time_zone,
            is_sandbox=found.is_sandbox,
            person_accounts=self.settings.person_accounts,
        )

    def _business_units(self, account_id: str) -> tuple[str, ...]:
        if self.settings.business_units:
            return self.settings.business_units
        if self.settings.embedded:
            return embedded.business_units(self.settings.sandbox_folder)
        return (account_id,)

    def _ca_bundle(self) -> str | None:
        if self.settings.ca_bundle:
            return self.settings.ca_bundle
        return self._sandbox().ca_bundle if self.settings.embedded else None

    def _sandbox(self) -> embedded.Address:
        if self._address is None:
            self._address = self._stack.enter_context(
                embedded.serve_own(self.settings.sandbox_folder)
            )
        return self._address
