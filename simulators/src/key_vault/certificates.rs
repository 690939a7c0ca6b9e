//! A certificate authority of its own, and a leaf under it. Clients trust it by `SSL_CERT_FILE`, `REQUESTS_CA_BUNDLE` and the like.

use std::sync::Arc;

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A made-up authority that lives as long as the test.
pub struct TestCa {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A server's certificate and its key, as PEM.
pub struct Leaf {
    /// Signed by the authority.
    pub certificate: String,
    /// Made up for it.
    pub key: String,
}

impl TestCa {
    /// A new one.
    ///
    /// # Panics
    ///
    /// If no key can be made.
    #[must_use]
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key can be made");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "SIMULATED test authority");
        let certificate = params.self_signed(&key).expect("the parameters are complete");
        Self { pem: certificate.pem(), issuer: Issuer::new(params, key) }
    }

    /// For a trust store.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate for a server of these names, DNS names or addresses, for a server that is a process of its own.
    ///
    /// # Panics
    ///
    /// If no key can be made.
    #[must_use]
    pub fn leaf(&self, names: &[&str]) -> Leaf {
        let (certificate, key) = self.sign(names);
        Leaf { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// TLS for a server of these names.
    pub(super) fn acceptor(&self, names: &[&str]) -> TlsAcceptor {
        let (certificate, key) = self.sign(names);
        let leaf: CertificateDer<'static> = certificate.der().clone();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider knows TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![leaf], key)
            .expect("key and certificate belong together");
        TlsAcceptor::from(Arc::new(config))
    }

    fn sign(&self, names: &[&str]) -> (Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key can be made");
        let mut params = CertificateParams::new(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).expect("names are ASCII");
        params.distinguished_name.push(DnType::CommonName, "SIMULATED server");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        (params.signed_by(&key, &self.issuer).expect("the authority can sign"), key)
    }
}

impl Default for TestCa {
    fn default() -> Self {
        Self::new()
    }
}
