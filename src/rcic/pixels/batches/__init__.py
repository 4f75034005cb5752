"""From images to augmented batches: datasets, samplers, loaders, and views."""
