#!/usr/bin/env bash
# PyJWT 2.15.1 with cryptography 50.0.2 and joserfc 1.8.0, the newest of each on 2026-11-28.
#
# RFC 9864 gives EdDSA with the curve Ed25519 the name "Ed25519", and deprecates "EdDSA". joserfc signs with either
# name, and warns of the old one. Valid input: a key set with one Ed25519 key whose `alg` has the new name.
# Behaviour: PyJWT passes the key over, and then says that the key set has none that can be used and that cryptography may
# be missing, which is installed, and which the same key is read with when its `alg` is "EdDSA" or left out. The name cannot
# be allowed either: to jwt.decode it is an algorithm that is not supported.
#
# Output seen:
#   key with alg EdDSA    1 key
#   key without alg       1 key
#   key with alg Ed25519  The JWK Set did not contain any usable keys. Perhaps 'cryptography' is not installed?
#   token with EdDSA      me
#   token with Ed25519    Algorithm not supported
#
# Prints what it saw, and fails if that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check pyjwt==2.15.1 cryptography==50.0.2 joserfc==1.8.0
"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys

import jwt
from joserfc import jwt as joserfc
from joserfc.jwk import OKPKey

key = OKPKey.generate_key("Ed25519")
public = key.as_dict(private=False)


def read(alg):
    one = public | ({"alg": alg} if alg else {})
    try:
        return f"{len(jwt.PyJWKSet.from_dict({'keys': [one]}).keys)} key"
    except jwt.PyJWTError as error:
        return str(error)


def verify(alg):
    token = joserfc.encode({"alg": alg}, {"sub": "me"}, key, algorithms=[alg])
    try:
        return jwt.decode(token, key.as_pem(private=False), algorithms=[alg])["sub"]
    except jwt.PyJWTError as error:
        return str(error)


seen = {
    "key with alg EdDSA": read("EdDSA"),
    "key without alg": read(None),
    "key with alg Ed25519": read("Ed25519"),
    "token with EdDSA": verify("EdDSA"),
    "token with Ed25519": verify("Ed25519"),
}
for what, result in seen.items():
    print(f"{what:<21} {result}")
missing = "The JWK Set did not contain any usable keys. Perhaps 'cryptography' is not installed?"
sys.exit(list(seen.values()) != ["1 key", "1 key", missing, "me", "Algorithm not supported"])
PYTHON
