"""The daemon as a service of systemd: what it tells the manager, and the units that start it."""
