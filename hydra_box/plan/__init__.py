"""Pure decisions: no IO, no clock, no tasks. Values in, values out, tested as tables."""
