"""What a folder and a table hold, written as a screen spec with a reason for every line."""
