"""The report: what a screen, its trainings and its predictions are worth, as one HTML file that opens offline.

Every chart is a table and a way to draw it. The tables are made here, by the functions that `score` and `ensemble` use,
too; ``assets/`` draws them in the reader's browser and offers each as a table and as CSV.
"""
