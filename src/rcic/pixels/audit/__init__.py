"""The check of every image before training, and the decision on bad ones."""
