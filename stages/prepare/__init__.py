"""The prepare stage. `__main__` tells the story, and calls on the others in this order:

`root` and `layout` find the files; `reading` has them decoded by `decoding`, or finds them in
`pixel_cache`, by their `decoder_version`; `engines` says on which machines (Dask's, through `dask_backend`,
work `elsewhere`); `audit` decides which are used, with `duplicates` and `oddities`; `splitting` chooses the
splits; `arrays`, `tables` and `metrics` are what is written.
"""
