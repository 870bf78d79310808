"""Who may ask what, how often, how much and when, and what is noted and counted of it."""
