"""From prediction folders to answers: averaging, calibration, decision, scores, submission."""
