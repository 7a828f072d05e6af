# SPDX-License-Identifier: MIT
"""A keyring for the tests, by the interface that the platforms' have."""

from __future__ import annotations

from keyring.backend import KeyringBackend


class Keyring(KeyringBackend):
    """Knows one password."""

    priority = 1

    def get_password(self, service, username):
        return "user:se:cret" if (service, username) == ("earlid-mqtt", "localhost") else None

    def set_password(self, service, username, password):
        raise NotImplementedError

    def delete_password(self, service, username):
        raise NotImplementedError
