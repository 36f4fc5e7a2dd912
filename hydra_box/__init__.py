"""Hydra Box: one Linux machine as an LLM appliance."""

__version__ = "0.1.0"
