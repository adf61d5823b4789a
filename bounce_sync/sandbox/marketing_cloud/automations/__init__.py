"""Automations and Journeys: what chains a filled data extension to the CRM."""
