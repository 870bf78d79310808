"""Who may ask what, how often and how much, and what is noted of it."""
