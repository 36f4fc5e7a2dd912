"""What screens are made of: each shows one thing and asks nobody for it."""
