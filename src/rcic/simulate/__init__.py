"""The synthetic screen: draws a folder in Kaggle's layout that is hard in the way the real screen is."""
