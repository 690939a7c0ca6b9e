//! The ledger as it stands in the blob, read past the program.

use std::sync::Arc;

use azure_core::http::{ClientOptions, Transport, Url};
use azure_storage_blob::{BlobClient, BlobClientOptions};
use exact_token_broker::azure::AccountKey;
use exact_token_broker::azure::shared_key::SharedKey;
use exact_token_broker::http;
use exact_token_broker::token::Secret;
use serde_json::Value;
use simulators::emulators::Azurite;

use crate::azure::{OnAzure, SECRET, VAULT};

pub(super) async fn read(world: &OnAzure) -> Value {
    let url = format!("{}/exact-token-broker/{VAULT}/{SECRET}.json", world.azurite.endpoint());
    let key = AccountKey::new(Azurite::ACCOUNT, &Secret::new(Azurite::KEY)).unwrap();
    // A signature says when it was made, by a clock that has to be near the service's.
    let clock = world.stage.clock();
    let client_options = ClientOptions {
        per_try_policies: vec![Arc::new(SharedKey::new(key, move || clock()))],
        transport: Some(Transport::new(Arc::new(http::azure_client(&url).unwrap()))),
        ..ClientOptions::default()
    };
    let options = BlobClientOptions { client_options, ..BlobClientOptions::default() };
    let blob = BlobClient::new(Url::parse(&url).unwrap(), None, Some(options)).unwrap();
    let body = blob.download(None).await.unwrap().body.collect().await.unwrap();
    serde_json::from_slice(&body).unwrap()
}
