"""Copies of the state: the box's own, the backup of one file for elsewhere, and the way back."""
