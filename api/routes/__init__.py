"""The routes, one file for each subject; `api.app` puts them together."""
