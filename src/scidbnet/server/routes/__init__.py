"""What can be asked: verbs and abilities of a store, the routes for people with curl, and what describes them."""
