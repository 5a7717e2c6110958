"""Experiments: a data set, a model and a recipe each, so that a result can be trained again."""
