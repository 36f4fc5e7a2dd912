"""The HTTP surface: one Litestar application, thin controllers over the core."""
