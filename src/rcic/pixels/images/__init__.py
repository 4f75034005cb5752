"""Image files of a screen: their paths, formats and grey levels."""
