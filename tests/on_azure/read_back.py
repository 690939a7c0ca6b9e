"""What the program has left behind, as Microsoft's own clients read it: one JSON object on standard output.

Nothing of the program's code is used: fingerprints are computed here. The vault is reached by HTTPS_PROXY and trusted by REQUESTS_CA_BUNDLE, the
storage account opened by its connection string; read_back.rs sets them and gives the names as arguments.
"""

import hashlib
import json
import os
import sys

from azure.identity import ManagedIdentityCredential
from azure.keyvault.secrets import SecretClient
from azure.storage.blob import BlobClient

vault_url, name, container, blob = sys.argv[1:]


def fingerprint(token):
    """The first 16 bytes of the SHA-256, as the ledger has it."""
    return hashlib.sha256(token.encode()).hexdigest()[:32]


def version(client, properties):
    """One version, opened."""
    secret = client.get_secret(name, properties.version)
    value = json.loads(secret.value)
    return {
        "id": properties.version,
        "enabled": properties.enabled,
        "content_type": properties.content_type,
        "tags": properties.tags,
        "value": value,
        "fingerprint": fingerprint(value["refresh_token"]),
    }


client = SecretClient(vault_url, ManagedIdentityCredential(), retry_total=0)
versions = [version(client, properties) for properties in client.list_properties_of_secret_versions(name)]
ledger = BlobClient.from_connection_string(os.environ["AzureWebJobsStorage"], container, blob)
text = ledger.download_blob().readall().decode()

json.dump(
    {
        "versions": versions,
        "ledger": json.loads(text),
        "ledger_text": text,
        "lease": ledger.get_blob_properties().lease.state,
    },
    sys.stdout,
)
