"""Getting a model onto the disk and reading its facts."""
