"""One page per day for sales and deliverability people who never open Dagster.

The page is a single HTML file: no script, nothing loaded from elsewhere. It links to the records
instead of naming people, so that the CRM decides who may see whom; addresses are in it only where
they are asked for. Names of owners and Accounts are the CRM's, of the moment when it was made.
"""
