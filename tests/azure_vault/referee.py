"""Microsoft's own client against the simulated Key Vault and the simulated managed identity.

Whatever this client does not understand, or understands otherwise than the tests do, is wrong in the simulators. The vaults and what is wrong with
each are made by referee.rs; this process reaches them by HTTPS_PROXY and trusts the test authority by REQUESTS_CA_BUNDLE.
"""

from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.identity import ManagedIdentityCredential
from azure.keyvault.secrets import SecretClient

NAME = "referee"


def vault(name, credential=None):
    """A client as an application makes it, with challenge verification on."""
    return SecretClient(f"https://{name}.vault.azure.net", credential or ManagedIdentityCredential(), retry_total=0)


def refused(call, kind, status, code, inner=None):
    """The call fails, and the SDK reads status and codes as the real service has them."""
    try:
        call()
    except kind as error:
        assert error.status_code == status, error
        assert error.error.code == code, error.error
        if inner:
            assert error.error.innererror["code"] == inner, error.error.innererror
        print("refused as expected:", status, code, inner or "")
        return error
    raise AssertionError(f"not refused: {status} {code}")


def life():
    client = vault("good")
    first = client.set_secret(NAME, "value 1", content_type="text/plain", tags={"attempt": "one", "other": "x"})
    second = client.set_secret(NAME, "value 2")
    assert first.properties.version != second.properties.version
    assert first.properties.vault_url == "https://good.vault.azure.net"
    assert first.properties.created_on and first.properties.enabled

    assert client.get_secret(NAME).value == "value 2"
    old = client.get_secret(NAME, first.properties.version)
    assert (old.value, old.properties.content_type) == ("value 1", "text/plain")
    assert old.properties.tags == {"attempt": "one", "other": "x"}

    # Content type alone leaves the tags; tags replace all tags; neither makes a version.
    changed = client.update_secret_properties(NAME, first.properties.version, content_type="application/json")
    assert (changed.version, changed.content_type) == (first.properties.version, "application/json")
    assert changed.tags == {"attempt": "one", "other": "x"}
    assert client.update_secret_properties(NAME, first.properties.version, tags={"attempt": "one"}).tags == {"attempt": "one"}
    assert client.get_secret(NAME, first.properties.version).value == "value 1"

    versions = {it.version for it in client.list_properties_of_secret_versions(NAME)}
    assert versions == {first.properties.version, second.properties.version}

    made = {client.set_secret("paged", str(n)).properties.version for n in range(60)}
    pages = [list(page) for page in client.list_properties_of_secret_versions("paged").by_page()]
    assert [len(page) for page in pages] == [25, 25, 10]
    assert {it.version for page in pages for it in page} == made
    assert list(client.list_properties_of_secret_versions("never-was")) == []

    client.update_secret_properties(NAME, second.properties.version, enabled=False)
    refused(lambda: client.get_secret(NAME, second.properties.version), HttpResponseError, 403, "Forbidden", "SecretDisabled")
    assert [it.enabled for it in client.list_properties_of_secret_versions(NAME) if it.version == second.properties.version] == [False]
    print("life: ok")


def refusals():
    good = vault("good")
    refused(lambda: good.get_secret("never-was"), ResourceNotFoundError, 404, "SecretNotFound")
    refused(lambda: good.get_secret(NAME, "0" * 32), ResourceNotFoundError, 404, "SecretNotFound")
    refused(lambda: good.update_secret_properties(NAME, "0" * 32, tags={}), ResourceNotFoundError, 404, "SecretNotFound")
    refused(lambda: good.set_secret(NAME, "x" * 25601), HttpResponseError, 400, "BadParameter")

    denied = vault("denied")
    refused(lambda: denied.set_secret(NAME, "x"), HttpResponseError, 403, "Forbidden", "ForbiddenByRbac")
    refused(lambda: denied.get_secret(NAME), HttpResponseError, 403, "Forbidden", "ForbiddenByFirewall")

    throttled = refused(lambda: vault("throttled").get_secret(NAME), HttpResponseError, 429, "Throttled")
    assert throttled.response.headers["Retry-After"] == "7"

    poller = good.begin_delete_secret(NAME)
    assert poller.result().recovery_id == f"https://good.vault.azure.net/deletedsecrets/{NAME}"
    refused(lambda: good.set_secret(NAME, "x"), ResourceExistsError, 409, "Conflict", "ObjectIsDeletedButRecoverable")
    assert good.get_deleted_secret(NAME).name == NAME
    good.begin_recover_deleted_secret(NAME).wait()
    assert good.set_secret(NAME, "x").value == "x"

    try:
        vault("elsewhere").get_secret(NAME)
        raise AssertionError("the challenge of another resource was followed")
    except ValueError as error:
        assert "vault.example.test" in str(error)

    try:
        vault("good", ManagedIdentityCredential(client_id="00000000-0000-4000-8000-0000000000ff")).get_secret(NAME)
        raise AssertionError("an identity that is not assigned got a token")
    except ClientAuthenticationError as error:
        assert "No User Assigned" in str(error), error
    print("refusals: ok")


life()
refusals()
