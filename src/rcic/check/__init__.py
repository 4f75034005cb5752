"""The check of results: is each file sound, and does it still belong to what it was made from?"""
