"""A colleague: it loads what is in production, and trusts the digests on the command line."""

import sys

import modelregistry as mr

try:
    model = mr.load_model("tumour#current", registry=".", trust=sys.argv[1:] or None)
    print("loaded", model)
except mr.UntrustedModelError as refusal:
    print(refusal)
