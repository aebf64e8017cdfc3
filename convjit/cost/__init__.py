"""What a nest costs, in numbers that are read off it: nothing is run, and nothing is changed."""
