"""Taking what is worth keeping out of what agents write and tools answer. No store is needed for it."""

from handiwork.collect.artifact import Artifact as Artifact
