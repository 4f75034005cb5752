"""The well browser: a local page to look at wells, their images, answers and nearest wells."""
