"""The command line: commands, their flags and help, and the only code that prints."""
