"""From a trained network to outputs: passes over sites for many members at once."""
