"""The prepare stage. `__main__` runs its steps, which use the other modules in this order:

`folder_structure` finds the files in class folders, and `split_folders` which folders are splits; `labelled_files`
finds those that a table names, which `label_table` reads, by `path_matching`. `groups` says which files belong
together. `parallel_decoding` takes their pixels from `pixel_cache`, or has them decoded by `decoding`, within
`time_limit`, on the machines that `executors` names. `corrections` gives them the labels that a person has corrected.
`audit` decides which images are used, with `duplicates` and `outliers`. `splitting` chooses the splits.
`arrays_and_tables` and `metrics` make what is written.
"""
