"""Files for running bounce_sync for good: containers, Kubernetes, systemd (guide/production.md)."""
