"""Front doors: other ways in than the language, each in a module of its own with its own optional packages."""
