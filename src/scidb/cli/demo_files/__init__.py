"""What `scidb demo` writes into its folder: a data set and the script that analyses it."""
