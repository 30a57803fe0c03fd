"""Labels as rows of Pixano 0.8's tables, and back. Both this format and the Pixano backend use it.

layout    which column of Pixano holds which field, attribute or column of the samples
tables    the columns of Pixano's tables, over REST and on disk
values    JSON texts <-> typed columns
encode    labels -> columns of Pixano's tables
decode    Pixano's tables -> labels
messages  conversations
checks    labels that Pixano cannot hold
"""
