"""Settings: arguments, environment and files, in layers; credentials; and the sample files in ``config/``."""
