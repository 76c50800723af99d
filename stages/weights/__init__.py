"""The weights stage: `__main__` chooses the source, the other modules each provide one kind of it."""
