//! Certificates that sign themselves, of servers and clients.

use std::sync::Arc;

use interop_services::servers::Tls;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// A certificate for `localhost` and 127.0.0.1, and its key.
pub(crate) struct Identity {
    /// The certificate in PEM.
    pub(crate) certificate: String,
    /// The private key in PEM.
    pub(crate) key: String,
    pub(crate) der: CertificateDer<'static>,
    pub(crate) key_der: PrivateKeyDer<'static>,
}

impl Identity {
    pub(crate) fn new() -> Identity {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let identity = rcgen::generate_simple_self_signed(names).unwrap();
        Identity {
            certificate: identity.cert.pem(),
            key: identity.signing_key.serialize_pem(),
            der: identity.cert.der().clone(),
            key_der: identity.signing_key.serialize_der().try_into().unwrap(),
        }
    }

    /// Returns the files of a server that has this identity and requires that of its clients.
    pub(crate) fn tls(&self, client: Option<&Identity>) -> Tls {
        Tls {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            client: client.map(|client| client.certificate.clone()),
        }
    }

    /// Returns the configuration of a client that trusts this identity and has its own one.
    pub(crate) fn client(&self, client: Option<&Identity>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        match client {
            None => config.with_no_client_auth(),
            Some(client) => config
                .with_client_auth_cert(vec![client.der.clone()], client.key_der.clone_key())
                .unwrap(),
        }
    }
}
