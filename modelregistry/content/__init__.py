"""From a version to its verified bytes on this machine."""
