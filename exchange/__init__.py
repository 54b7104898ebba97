"""The composition root: settings, the exchange process, the supervisor and the command line. Knows everything."""
