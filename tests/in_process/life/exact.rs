//! Exact Online as one life meets it: the world's, over a connection that can be lost.

use std::time::Duration;

use async_trait::async_trait;
use exact_token_broker::exact_online::request;
use exact_token_broker::exact_online::response::{self, Body};
use exact_token_broker::ports::{Clock, TokenEndpoint};
use exact_token_broker::token::reply::Unclear;
use exact_token_broker::token::{Reply, Secret};
use reqwest::StatusCode;
use simulators::exact_online::{Delivery, TokenRequest};

use super::{Doubles, Got};
use crate::world::BASE_URL;

#[async_trait]
impl TokenEndpoint for Doubles {
    async fn refresh(&self, refresh_token: &Secret) -> Reply {
        let token = refresh_token.clone();
        let exchange = self.call("exact.refresh", move |state, now| {
            let config = state.exact.config().clone();
            let sent = request::refresh(BASE_URL, &config.client_id, &Secret::new(config.client_secret.clone()), &token);
            let mut request = TokenRequest::post(sent.body.reveal().as_bytes().to_vec());
            request.headers = sent.headers.iter().map(|(name, value)| (name.to_string(), (*value).to_owned())).collect();
            state.exact.token(now, &request)
        });
        let reply = match exchange.await {
            Got::Done(reply) => reply,
            Got::Failed | Got::Unconfirmed => return Reply::Unclear(Unclear::ConnectionLost),
        };
        let cut = match reply.delivery {
            Delivery::Whole => None,
            Delivery::After(delay) if delay < Duration::from_secs(100) => {
                self.sleep(delay).await;
                None
            }
            Delivery::After(_) | Delivery::Never => {
                self.sleep(Duration::from_secs(100)).await;
                return Reply::Unclear(Unclear::TimedOut);
            }
            Delivery::Cut => Some(Unclear::ConnectionLost),
            Delivery::Reset => return Reply::Unclear(Unclear::ConnectionLost),
        };
        let headers = reply.headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let bytes = if cut.is_some() { reply.body[..reply.body.len() / 2].to_vec() } else { reply.body };
        response::classify(refresh_token, StatusCode::from_u16(reply.status).unwrap(), &headers, &Body { bytes, cut })
    }
}
