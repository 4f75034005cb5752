"""Embeddings as profiles of wells: reading, centring, and classification by neighbours."""
