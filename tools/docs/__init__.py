"""The documentation site: parts of its pages that are generated, the build, and pictures.

python -m tools.docs write       # the generated parts of docs/ and README.md anew; tests keep them current
python -m tools.docs build       # the site, into build/site, with llms.txt and a Markdown twin of every page
python -m tools.docs pictures    # docs/images anew
"""
