"""What was done to which well: tables only, no pixels, no torch."""
