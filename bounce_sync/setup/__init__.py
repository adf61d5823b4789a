"""`bounce-sync setup`: what the CRM and SFMC need before the first run, looked at and made.

It reads what is there, says what is missing, and makes that after a yes; a second time it finds
nothing to do. What is there in another shape is never changed: that is an error which says what to
do. What only a person can do is a step `by hand`.

In the CRM: the two fields on Contact and Lead, a permission set for the integration user and one
for sales, list views and reports of flagged records, on request a section of the page layouts. They
ship as a folder in the source format (``salesforce/``), which `sf project deploy start` takes as
well. In SFMC: what the chosen source and delivery need, and nothing for the default ones.

`components`, `package`, `grants`, `layouts` and the two plans are pure; `crm` and `sfmc` ask and
make. Nothing here knows Dagster.
"""
