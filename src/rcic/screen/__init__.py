"""The wells of a screen and their treatments: tables only, no pixels, no torch."""
