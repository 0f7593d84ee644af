"""Settings of how a provider is connected to, where the URL does not say it all."""

import ipaddress
import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from smart_llmrouter.config.references import (
    WRITE_IN_FULL,
    holds_reference,
    unexpanded,
)
from smart_llmrouter.config.schema.kinds import Section, refusal

_HOST_NAME: Final = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
    r"(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*",
    re.IGNORECASE,
)


def _path(text: str) -> str:
    problem = unexpanded(text)
    # About `${NAME}` there is a finding already: it is not a secret's place.
    if problem is not None and not holds_reference(text):
        raise refusal(problem, WRITE_IN_FULL)
    if not text.isprintable():
        raise refusal("a path of a file is expected", WRITE_IN_FULL)
    return text


def _server_name(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        if _HOST_NAME.fullmatch(text):
            return text
    raise refusal(
        "a host name or an address is expected", "write it such as api.acme.example"
    )


FilePath = Annotated[
    str, StringConstraints(min_length=1, max_length=1024), AfterValidator(_path)
]
"""A path; a relative one starts at the directory of the configuration file."""


class Tls(Section):
    """Whom to trust, and who the router is, on `https` connections."""

    ca_file: FilePath | None = Field(
        default=None,
        description=(
            "PEM file of the authorities (or of the very certificates) to trust"
            " instead of the system's."
        ),
    )
    client_cert_file: FilePath | None = Field(
        default=None,
        description=(
            "PEM file of the certificate, with its chain, that the router shows."
        ),
    )
    client_key_file: FilePath | None = Field(
        default=None,
        description=(
            "PEM file of the certificate's key, without a passphrase; may be left out"
            " where `client_cert_file` holds the key, too."
        ),
    )
    server_name: Annotated[str, AfterValidator(_server_name)] | None = Field(
        default=None,
        description=(
            "The name to ask for (SNI) and to find in the certificate, where it is not"
            " the host of `base_url`."
        ),
    )

    @model_validator(mode="after")
    def _key_has_a_certificate(self) -> "Tls":
        if self.client_key_file is not None and self.client_cert_file is None:
            raise refusal(
                "there is a key, but no certificate to it",
                "add client_cert_file, or remove client_key_file",
            )
        return self
