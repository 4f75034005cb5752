"""A packed screen: images in few large Zarr files, checksummed and fast to read."""
