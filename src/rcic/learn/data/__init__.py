"""Tables of a training and its batches: stage tables, loaders, metadata, pixel statistics."""
