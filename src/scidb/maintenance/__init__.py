"""What keeps a database whole over the years: checking, backups, removing. Nothing here knows a file format."""
