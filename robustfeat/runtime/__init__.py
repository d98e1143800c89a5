"""Running well on any machine: errors, registries, files, progress, processes, downloads."""
