"""The REST API of Marketing Cloud (facts/marketing-cloud.md 5)."""
