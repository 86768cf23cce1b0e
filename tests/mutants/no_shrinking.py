"""A pytest plugin: Hypothesis stops at the first failing example; what it is does not matter."""

from hypothesis import Phase, settings

settings.register_profile("mutants", phases=(Phase.explicit, Phase.generate), database=None)
settings.load_profile("mutants")
