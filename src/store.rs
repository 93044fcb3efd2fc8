//! The store that recordings go to: Amazon S3, or what speaks like it, over the gate's own HTTP and TLS.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use object_store::aws::{AmazonS3Builder, AwsCredential};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::{ClientOptions, CredentialProvider, RetryConfig};
use tapgate_config::{S3Config, S3Credentials};
use tapgate_record::limits::{STORE_MAX, STORE_RETRIES};
use tapgate_record::{Remote, RemoteParts, Shelf};

use crate::limits::CREDENTIAL_FILE_MAX;
use crate::outward::{self, OutwardError};

/// The shelf whose recordings go there from this directory.
pub(crate) fn open(folder: &Path, config: &S3Config) -> Result<Arc<dyn Shelf>> {
    let keys = Keys(config.credentials.clone());
    // What is missing is known at the start, not at the first session's end.
    keys.read().map_err(anyhow::Error::msg).context("the store of recordings has no credentials")?;
    let retry = RetryConfig { max_retries: STORE_RETRIES, retry_timeout: STORE_MAX, ..RetryConfig::default() };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(&config.bucket)
        .with_region(&config.region)
        .with_credentials(Arc::new(keys))
        .with_retry(retry)
        .with_http_connector(Connector);
    builder = match &config.endpoint {
        None => builder.with_virtual_hosted_style_request(true),
        Some(endpoint) => builder.with_allow_http(endpoint.starts_with("http://")).with_endpoint(endpoint),
    };
    let store = Arc::new(builder.build().context("the store of recordings can't be used")?);
    let parts = RemoteParts { folder, store, prefix: &config.prefix, waiting_max: config.waiting_max };
    let remote = Remote::open(parts);
    Ok(Arc::new(remote.with_context(|| format!("can't open the directory of recordings {}", folder.display()))?))
}

/// The credentials, read anew each time: whoever replaces the files needs no restart.
#[derive(Debug)]
struct Keys(Option<S3Credentials>);

impl Keys {
    fn read(&self) -> Result<AwsCredential, String> {
        let Some(files) = &self.0 else {
            let variable = |name: &str| std::env::var(name).map_err(|_| format!("{name} is not in the environment"));
            let (key_id, secret_key) = (variable("AWS_ACCESS_KEY_ID")?, variable("AWS_SECRET_ACCESS_KEY")?);
            return Ok(AwsCredential { key_id, secret_key, token: variable("AWS_SESSION_TOKEN").ok() });
        };
        Ok(AwsCredential { key_id: word_in(&files.id)?, secret_key: word_in(&files.secret)?, token: None })
    }
}

fn word_in(file: &Path) -> Result<String, String> {
    let size = std::fs::metadata(file).map_err(|error| format!("{}: {error}", file.display()))?.len();
    if size > CREDENTIAL_FILE_MAX {
        return Err(format!("{} is too long for a key", file.display()));
    }
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let word = text.trim();
    if word.is_empty() { Err(format!("{} is empty", file.display())) } else { Ok(word.to_owned()) }
}

#[async_trait]
impl CredentialProvider for Keys {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let read = self.read().map_err(|why| object_store::Error::Generic { store: "S3", source: why.into() });
        Ok(Arc::new(read?))
    }
}

/// The gate's own HTTP, in the place of another client with TLS of its own.
#[derive(Debug, Clone, Copy)]
struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(*self))
    }
}

#[async_trait]
impl HttpService for Connector {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let kind = |error: &OutwardError| match error {
            OutwardError::Address(_) => HttpErrorKind::Unknown,
            OutwardError::Unreachable(..) => HttpErrorKind::Connect,
            OutwardError::Late(_) => HttpErrorKind::Timeout,
            OutwardError::Broken(..) => HttpErrorKind::Interrupted,
        };
        let response = outward::send(request).await.map_err(|error| HttpError::new(kind(&error), error))?;
        Ok(response.map(Into::into))
    }
}
