"""The foundation of the other packages: errors, registries, files, progress, processes and downloads."""
