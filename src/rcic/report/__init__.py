"""The report: the quality of a screen, its trainings and its predictions as one HTML file that opens offline.

Every chart is a table and a way to draw it. The tables are made here, with the functions of `score` and `ensemble`;
``assets/`` draws them in the reader's browser and offers each as a table and as CSV.
"""
