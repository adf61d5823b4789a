"""Files for running bounce_sync for good: containers, Kubernetes, systemd. See guide/production.md."""
