"""One screen a module: what it shows, and what it asks of the box."""
