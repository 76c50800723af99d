"""The prepare stage: `layout` finds the files, `decoding` reads them, `__main__` tells the story."""
