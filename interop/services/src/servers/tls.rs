//! Certificates of servers.

use super::keeper::Scratch;

/// The certificate and the key of a server, in PEM.
#[derive(Debug)]
pub struct Tls {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
    /// The certificate that clients must present, if any.
    pub client: Option<String>,
}

impl Tls {
    /// Writes `server.crt`, `server.key` and `client.crt` into the folder `folder` of the scratch
    /// folder, which is empty for the scratch folder itself or ends with a slash.
    pub(super) fn write(&self, scratch: &Scratch, folder: &str) {
        scratch.write(&format!("{folder}server.crt"), &self.certificate);
        scratch.write(&format!("{folder}server.key"), &self.key);
        // A server that requires no certificate ignores this one.
        let client = self.client.as_ref().unwrap_or(&self.certificate);
        scratch.write(&format!("{folder}client.crt"), client);
    }
}
