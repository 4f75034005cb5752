"""The well browser: a local page that shows wells, their images, answers and nearest wells."""
